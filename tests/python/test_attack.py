"""Goal: the attack that judges our tables finds what it should and no more.

Method: small made-up tables, with and without complementary suppression, where the answer is plain.
"""

from __future__ import annotations

import unittest

import attack

# One jobcentre of two municipalities, one of one; both in one region.
MEMBERS = {
    ("jobcentre", "0563"): ["0561", "0563"],
    ("jobcentre", "0607"): ["0607"],
    ("region", "1083"): ["0561", "0563", "0607"],
}
PARTS = ("unemployment", "cash")
AREAS = [("municipality", m) for m in ("0561", "0563", "0607")] + list(MEMBERS)


def cell(area: str, benefit: str, kind: str = "municipality") -> tuple[str, str, str, str, str]:
    return (kind, area, benefit, "total", "total")


CELLS = [(kind, area, benefit, "total", "total") for kind, area in AREAS for benefit in ("total", *PARTS)]
EQUATIONS = attack.additive_equations(CELLS, MEMBERS, PARTS)


class Attack(unittest.TestCase):
    def test_relations(self):
        # 6 areas with total = unemployment + cash; 3 groups with 3 benefits each.
        self.assertEqual(len(EQUATIONS), 6 + 9)

    def test_a_lonely_hidden_cell_is_given_away_by_its_total(self):
        hidden = {cell("0563", "cash")}
        self.assertEqual(attack.determined(EQUATIONS, hidden), hidden)

    def test_hiding_its_sibling_alone_is_not_enough(self):
        # total - unemployment is gone, but jobcentre - the other municipality still tells both.
        hidden = {cell("0563", "cash"), cell("0563", "unemployment")}
        self.assertEqual(attack.determined(EQUATIONS, hidden), hidden)

    def test_a_rectangle_holds(self):
        hidden = {cell(m, b) for m in ("0563", "0561") for b in PARTS}
        self.assertEqual(attack.determined(EQUATIONS, hidden), set())

    def test_a_single_municipality_jobcentre_is_the_municipality(self):
        hidden = {cell("0607", b) for b in PARTS} | {cell("0561", b) for b in PARTS}
        self.assertEqual(attack.determined(EQUATIONS, hidden), hidden)
        # Its jobcentre must go as well, and so must what tells the other one: the joint jobcentre.
        hidden |= {cell("0607", b, "jobcentre") for b in PARTS}
        self.assertEqual(attack.determined(EQUATIONS, hidden), hidden)
        hidden |= {cell("0563", b, "jobcentre") for b in PARTS}
        self.assertEqual(attack.determined(EQUATIONS, hidden), set())

    def test_several_equations_together(self):
        # a + b, b + c, a + c known: each is known, though no single equation says so.
        pairs = [{"a": 1, "b": 1}, {"b": 1, "c": 1}, {"a": 1, "c": 1}]
        self.assertEqual(attack.determined(pairs, {"a", "b", "c"}), {"a", "b", "c"})
        self.assertEqual(attack.determined(pairs[:2], {"a", "b", "c"}), set())
        self.assertEqual(attack.determined(pairs[:2], {"a", "b"}), {"a", "b"})

    def test_a_breakdown_adds_up_too(self):
        cells = [cell("0607", "cash")] + [
            ("municipality", "0607", "cash", "visitation", v) for v in ("job_ready", "activity_ready", "unknown")
        ]
        equations = attack.additive_equations(cells, {})
        self.assertEqual(len(equations), 1)
        self.assertEqual(attack.determined(equations, {cells[1]}), {cells[1]})
        self.assertEqual(attack.determined(equations, {cells[1], cells[2]}), set())

    def test_an_area_without_a_row_adds_nothing(self):
        # Of the region's three municipalities one has a row: its figure is the region's.
        cells = [cell("0561", "cash"), cell("1083", "cash", "region")]
        self.assertEqual(attack.additive_equations(cells, MEMBERS), [])
        equations = attack.additive_equations(cells, MEMBERS, absent_is_zero=True)
        self.assertEqual(attack.determined(equations, {cells[0]}), {cells[0]})
        self.assertEqual(attack.determined(equations, set(cells)), set())

    def test_the_order_of_equations_does_not_matter(self):
        hidden = {cell("0563", b) for b in PARTS} | {cell("0561", "cash")}
        forward = attack.determined(EQUATIONS, hidden)
        self.assertEqual(attack.determined(EQUATIONS[::-1], hidden), forward)
        self.assertEqual(forward, hidden)


if __name__ == "__main__":
    unittest.main()
