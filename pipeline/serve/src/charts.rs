//! Charts as SVG: lines over periods, and bars side by side.
//!
//! Drawn by plotters in pixels, so that every text has its place. A chart has a title and a description for who does not see it, and stands
//! beside a table with the same figures. A figure that is hidden or missing leaves a gap; it is never drawn as nothing. Lines differ by
//! dashes and marks as well as by colour.

use std::fmt::Write as _;

use plotters::coord::ranged1d::{NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use thiserror::Error;

use crate::pages::texts::Language;

/// A chart could not be drawn.
#[derive(Debug, Error)]
#[error("drawing a chart: {0}")]
pub struct ChartError(String);

/// How a line is told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Thick, with a mark at each figure: what the chart is about.
    Own,
    /// Dashed: a path that was set.
    Path,
    /// Thin: what it is compared with.
    Beside,
}

/// A line over the periods.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// A figure for each period; `None` leaves a gap.
    pub values: Vec<Option<f64>>,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// Limits around the lines, one pair a period.
#[derive(Debug, Clone)]
pub struct Band {
    /// What they are.
    pub name: String,
    /// Lower and upper limit; `None` leaves a gap.
    pub limits: Vec<Option<(f64, f64)>>,
}

/// Lines over periods.
#[derive(Debug, Clone)]
pub struct Lines {
    /// Unique among the charts of a page: letters and digits.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The same for who does not see it, with the figures that matter.
    pub description: String,
    /// The periods.
    pub labels: Vec<String>,
    /// The lines.
    pub lines: Vec<Line>,
    /// A band behind the lines.
    pub band: Option<Band>,
}

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Whose it is.
    pub name: String,
    /// The figure.
    pub value: Option<f64>,
    /// What is written behind it: the figure in the language's format, or why there is none.
    pub text: String,
    /// Whether it stands out.
    pub own: bool,
}

/// Bars side by side.
#[derive(Debug, Clone)]
pub struct Bars {
    /// As in [`Lines`].
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The same for who does not see it.
    pub description: String,
    /// The bars, first one on top.
    pub bars: Vec<Bar>,
    /// Name and place of a line across all.
    pub mark: Option<(String, f64)>,
}

const WIDTH: i32 = 760;
const COLOURS: [RGBColor; 8] = [
    RGBColor(11, 87, 158),
    RGBColor(176, 74, 6),
    RGBColor(31, 115, 63),
    RGBColor(116, 56, 152),
    RGBColor(0, 111, 126),
    RGBColor(160, 30, 80),
    RGBColor(95, 85, 20),
    RGBColor(70, 70, 160),
];
const INK: RGBColor = RGBColor(33, 41, 48);
const FAINT: RGBColor = RGBColor(218, 224, 229);
const QUIET: RGBColor = RGBColor(84, 97, 107);
const BAND: RGBColor = RGBColor(222, 234, 245);
const SIZE: f64 = 13.0;

/// Pixels that a text takes, about.
fn width_of(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 16).saturating_mul(7)
}

/// Plotters writes a font as 1/1.24 of its size.
fn written<'a>(font: &'a str, size: f64, colour: &'a RGBColor, anchor: (HPos, VPos)) -> TextStyle<'a> {
    (font, size * 1.24).into_font().color(colour).pos(Pos::new(anchor.0, anchor.1))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

struct Canvas<'a> {
    area: Area<'a>,
    font: &'a str,
}

impl Canvas<'_> {
    fn text(
        &self,
        at: (i32, i32),
        text: &str,
        colour: &RGBColor,
        anchor: (HPos, VPos),
    ) -> Result<(), ChartError> {
        self.draw(&Text::new(text.to_owned(), at, written(self.font, SIZE, colour, anchor)))
    }

    fn line(&self, points: &[(i32, i32)], colour: RGBColor, width: u32) -> Result<(), ChartError> {
        self.draw(&PathElement::new(points.to_vec(), colour.stroke_width(width)))
    }

    fn draw<'b, E>(&self, element: &'b E) -> Result<(), ChartError>
    where
        &'b E: plotters::element::PointCollection<'b, (i32, i32)>,
        for<'c> E: plotters::element::Drawable<SVGBackend<'c>>,
    {
        self.area.draw(element).map_err(|error| ChartError(error.to_string()))
    }
}

/// Round numbers between two, at most so many.
fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    struct Plain(RangedCoordf64);
    impl Ranged for Plain {
        type FormatOption = NoDefaultFormatting;
        type ValueType = f64;
        fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
            self.0.map(value, limit)
        }
        fn key_points<Hint: plotters::coord::ranged1d::KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
            self.0.key_points(hint)
        }
        fn range(&self) -> std::ops::Range<f64> {
            self.0.range()
        }
    }
    impl ValueFormatter<f64> for Plain {}
    Plain(RangedCoordf64::from(low..high)).key_points(most)
}

/// The decimals that tell ticks apart.
fn decimals(ticks: &[f64]) -> usize {
    let step = ticks.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(f64::INFINITY, f64::min);
    (0..4).find(|decimals| step * 10_f64.powi(*decimals) >= 0.999).unwrap_or(4).try_into().unwrap_or(0)
}

fn pixel(share: f64, from: i32, to: i32) -> i32 {
    // Both ends are pixels of a small picture.
    #[allow(clippy::cast_possible_truncation)]
    let place = (f64::from(from) + share * f64::from(to - from)).round() as i32;
    place
}

impl Lines {
    /// The chart as SVG, in a font family that its reader has.
    ///
    /// # Errors
    /// If plotters fails.
    pub fn svg(&self, language: Language, font: &str) -> Result<String, ChartError> {
        let legend = self.legend_rows();
        let (top, left, right) = (14 + 20 * i32::try_from(legend.len()).unwrap_or(1), 76, WIDTH - 18);
        let height = top + 270;
        let bottom = height - 34;
        let mut svg = String::new();
        {
            let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
            let canvas = Canvas { area: SVGBackend::with_string(&mut svg, size).into_drawing_area(), font };
            canvas.area.fill(&WHITE).map_err(|error| ChartError(error.to_string()))?;
            self.draw_legend(&canvas, &legend)?;
            match self.range() {
                Some(range) => self.draw_figures(&canvas, language, range, (left, right, top, bottom))?,
                None => {
                    let text = language.text("chart-empty");
                    canvas.text((WIDTH / 2, height / 2), &text, &QUIET, (HPos::Center, VPos::Center))?;
                }
            }
            canvas.area.present().map_err(|error| ChartError(error.to_string()))?;
        }
        Ok(described(svg, &self.id, &self.title, &self.description))
    }

    /// Lowest and highest figure with a margin.
    fn range(&self) -> Option<(f64, f64)> {
        let lines = self.lines.iter().flat_map(|line| line.values.iter().copied().flatten());
        let limits = self
            .band
            .iter()
            .flat_map(|band| band.limits.iter().flatten().flat_map(|(low, high)| [*low, *high]));
        let (low, high) = lines
            .chain(limits)
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        let margin = if high > low { (high - low) * 0.08 } else { (high.abs() * 0.1).max(1.0) };
        // Counts do not go below nothing.
        let floor = if low >= 0.0 { (low - margin).max(0.0) } else { low - margin };
        Some((floor, high + margin))
    }

    fn draw_figures(
        &self,
        canvas: &Canvas<'_>,
        language: Language,
        (low, high): (f64, f64),
        (left, right, top, bottom): (i32, i32, i32, i32),
    ) -> Result<(), ChartError> {
        let y = |value: f64| pixel((value - low) / (high - low), bottom, top);
        let last = self.labels.len().saturating_sub(1).max(1);
        #[allow(clippy::cast_precision_loss)]
        let x = |index: usize| match self.labels.len() {
            1 => (left + right) / 2,
            _ => pixel(index as f64 / last as f64, left + 12, right - 12),
        };
        let ticks = ticks(low, high, 6);
        let digits = decimals(&ticks);
        for tick in &ticks {
            canvas.line(&[(left, y(*tick)), (right, y(*tick))], FAINT, 1)?;
            let text = language.number(*tick, digits);
            canvas.text((left - 8, y(*tick)), &text, &QUIET, (HPos::Right, VPos::Center))?;
        }
        if let Some(band) = &self.band {
            for run in runs(&band.limits) {
                let highs = run.iter().map(|(index, (_, high))| (x(*index), y(*high)));
                let lows = run.iter().rev().map(|(index, (low, _))| (x(*index), y(*low)));
                let corners: Vec<(i32, i32)> = highs.chain(lows).collect();
                if run.len() == 1 {
                    let (at, (low, high)) = (x(run[0].0), run[0].1);
                    canvas.draw(&Rectangle::new([(at - 5, y(high)), (at + 5, y(low))], BAND.filled()))?;
                } else {
                    canvas.draw(&Polygon::new(corners, BAND.filled()))?;
                }
            }
        }
        canvas.line(&[(left, bottom), (right, bottom)], QUIET, 1)?;
        // As many labels as have room.
        let widest = self.labels.iter().map(|label| width_of(label)).max().unwrap_or(0) + 14;
        let room = usize::try_from((right - left) / widest.max(1)).unwrap_or(1).max(1);
        let step = self.labels.len().div_ceil(room).max(1);
        for (index, label) in self.labels.iter().enumerate() {
            if !(last - index.min(last)).is_multiple_of(step) {
                continue;
            }
            canvas.line(&[(x(index), bottom), (x(index), bottom + 4)], QUIET, 1)?;
            let anchor = if index == last && index > 0 { HPos::Right } else { HPos::Center };
            let at = if index == last && index > 0 { right } else { x(index) };
            canvas.text((at, bottom + 9), label, &QUIET, (anchor, VPos::Top))?;
        }
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            for run in runs(&line.values) {
                let points: Vec<(i32, i32)> =
                    run.iter().map(|(index, value)| (x(*index), y(*value))).collect();
                self.draw_run(canvas, line.stroke, colour, &points)?;
            }
        }
        Ok(())
    }

    fn draw_run(
        &self,
        canvas: &Canvas<'_>,
        stroke: Stroke,
        colour: RGBColor,
        points: &[(i32, i32)],
    ) -> Result<(), ChartError> {
        let mark = |at: (i32, i32), radius: i32| canvas.draw(&Circle::new(at, radius, colour.filled()));
        match stroke {
            Stroke::Own => {
                canvas.line(points, colour, 3)?;
                points.iter().try_for_each(|point| mark(*point, 4))
            }
            Stroke::Path => {
                let dashes = DashedPathElement::new(points.to_vec(), 8, 5, colour.stroke_width(2));
                canvas.area.draw(&dashes).map_err(|error| ChartError(error.to_string()))
            }
            Stroke::Beside => {
                canvas.line(points, colour, 2)?;
                // A run of one has no line: it is a mark.
                if points.len() == 1 { mark(points[0], 3) } else { Ok(()) }
            }
        }
    }

    /// The legend's entries in rows: index of the line, the band as none.
    fn legend_rows(&self) -> Vec<Vec<(Option<usize>, &str)>> {
        let lines = self.lines.iter().enumerate().map(|(index, line)| (Some(index), line.name.as_str()));
        let band = self.band.iter().map(|band| (None, band.name.as_str()));
        let mut rows: Vec<Vec<(Option<usize>, &str)>> = vec![Vec::new()];
        let mut used = 0;
        for (index, name) in lines.chain(band) {
            let width = width_of(name) + 58;
            if used > 0 && used + width > WIDTH - 20 {
                rows.push(Vec::new());
                used = 0;
            }
            used += width;
            if let Some(row) = rows.last_mut() {
                row.push((index, name));
            }
        }
        rows
    }

    fn draw_legend(
        &self,
        canvas: &Canvas<'_>,
        rows: &[Vec<(Option<usize>, &str)>],
    ) -> Result<(), ChartError> {
        for (number, row) in rows.iter().enumerate() {
            let y = 14 + 20 * i32::try_from(number).unwrap_or(0);
            let mut x = 10;
            for (index, name) in row {
                match index {
                    Some(index) => {
                        let points = [(x, y), (x + 30, y)];
                        let colour = COLOURS[index % COLOURS.len()];
                        self.draw_run(canvas, self.lines[*index].stroke, colour, &points)?;
                    }
                    None => canvas.draw(&Rectangle::new([(x, y - 6), (x + 30, y + 6)], BAND.filled()))?,
                }
                canvas.text((x + 38, y), name, &INK, (HPos::Left, VPos::Center))?;
                x += width_of(name) + 58;
            }
        }
        Ok(())
    }
}

/// Figures without a gap between them, with their places.
fn runs<T: Copy>(values: &[Option<T>]) -> Vec<Vec<(usize, T)>> {
    let mut runs: Vec<Vec<(usize, T)>> = Vec::new();
    let mut open = false;
    for (index, value) in values.iter().enumerate() {
        match value {
            Some(value) if open => {
                if let Some(run) = runs.last_mut() {
                    run.push((index, *value));
                }
            }
            Some(value) => runs.push(vec![(index, *value)]),
            None => {}
        }
        open = value.is_some();
    }
    runs
}

impl Bars {
    /// The chart as SVG. Bars begin at nothing.
    ///
    /// # Errors
    /// If plotters fails.
    pub fn svg(&self, language: Language, font: &str) -> Result<String, ChartError> {
        let rows = i32::try_from(self.bars.len()).unwrap_or(0).max(1);
        let top = if self.mark.is_some() { 34 } else { 10 };
        let height = top + rows * 24 + 12;
        let label = self.bars.iter().map(|bar| width_of(&bar.name)).max().unwrap_or(60).clamp(60, 240) + 16;
        let room = self.bars.iter().map(|bar| width_of(&bar.text)).max().unwrap_or(60).clamp(40, 200) + 14;
        let figures =
            || self.bars.iter().filter_map(|bar| bar.value).chain(self.mark.iter().map(|(_, value)| *value));
        let (low, high) = (figures().fold(0.0_f64, f64::min), figures().fold(0.0_f64, f64::max));
        let spread = if high > low { high - low } else { 1.0 };
        let (left, right) = (label, WIDTH - room);
        let x = |value: f64| pixel((value - low) / spread, left, right);
        let mut svg = String::new();
        {
            let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
            let canvas = Canvas { area: SVGBackend::with_string(&mut svg, size).into_drawing_area(), font };
            canvas.area.fill(&WHITE).map_err(|error| ChartError(error.to_string()))?;
            if self.bars.is_empty() {
                let text = language.text("chart-empty");
                canvas.text((WIDTH / 2, height / 2), &text, &QUIET, (HPos::Center, VPos::Center))?;
            }
            for (number, bar) in self.bars.iter().enumerate() {
                let y = top + 24 * i32::try_from(number).unwrap_or(0) + 12;
                let ink = if bar.own { &COLOURS[1] } else { &INK };
                canvas.text((left - 8, y), &bar.name, ink, (HPos::Right, VPos::Center))?;
                let end = match bar.value {
                    Some(value) => {
                        let colour = if bar.own { COLOURS[1] } else { COLOURS[0] };
                        canvas
                            .draw(&Rectangle::new([(x(0.0), y - 8), (x(value), y + 8)], colour.filled()))?;
                        x(value).max(x(0.0))
                    }
                    None => x(0.0),
                };
                let quiet = if bar.value.is_some() { &INK } else { &QUIET };
                canvas.text((end + 6, y), &bar.text, quiet, (HPos::Left, VPos::Center))?;
            }
            if let Some((name, value)) = &self.mark {
                let at = x(*value);
                let dashes =
                    DashedPathElement::new(vec![(at, top - 6), (at, height - 8)], 5, 4, INK.stroke_width(2));
                canvas.area.draw(&dashes).map_err(|error| ChartError(error.to_string()))?;
                let anchor = if at > WIDTH / 2 { HPos::Right } else { HPos::Left };
                canvas.text((at, top - 20), name, &INK, (anchor, VPos::Center))?;
            }
            canvas.line(&[(x(0.0), top - 2), (x(0.0), height - 8)], QUIET, 1)?;
            canvas.area.present().map_err(|error| ChartError(error.to_string()))?;
        }
        Ok(described(svg, &self.id, &self.title, &self.description))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Title and description for who does not see the picture.
fn described(svg: String, id: &str, title: &str, description: &str) -> String {
    let Some(end) = svg.find("<svg ").and_then(|start| svg[start..].find('>').map(|length| start + length))
    else {
        return svg;
    };
    let id = escaped(id);
    let mut head =
        svg[..end].replacen("<svg ", &format!("<svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\" "), 1);
    // Writing to a text does not fail.
    let _ = write!(
        head,
        ">\n<title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>",
        escaped(title),
        escaped(description)
    );
    head + &svg[end + 1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: Vec<Option<f64>>) -> Lines {
        let labels = (0..values.len()).map(|index| format!("2026-{index:02}")).collect();
        let line = Line { name: "own <b>".to_owned(), values, stroke: Stroke::Own };
        Lines {
            id: "c1".to_owned(),
            title: "T & t".to_owned(),
            description: "D".to_owned(),
            labels,
            lines: vec![line],
            band: None,
        }
    }

    fn circles(svg: &str) -> usize {
        svg.matches("<circle").count()
    }

    #[test]
    fn a_gap_stays_a_gap_and_nothing_is_drawn_for_what_is_hidden() {
        let svg = lines(vec![Some(1.0), None, Some(3.0), Some(4.0)])
            .svg(Language::Danish, "sans-serif")
            .expect("drawn");
        // Two in the legend, one for each figure that is shown.
        assert_eq!(circles(&svg), 2 + 3);
        assert!(!svg.contains("NaN"));
        assert_eq!(runs(&[Some(1), None, Some(3), Some(4)]), vec![vec![(0, 1)], vec![(2, 3), (3, 4)]]);
    }

    #[test]
    fn nothing_a_single_figure_and_equal_figures_are_charts_too() {
        for values in [vec![], vec![None, None]] {
            let svg = lines(values).svg(Language::English, "sans-serif").expect("drawn");
            assert!(svg.contains(&Language::English.text("chart-empty")), "{svg}");
            assert_eq!(circles(&svg), 2);
        }
        for values in [vec![Some(7.0)], vec![Some(0.0), Some(0.0)], vec![Some(-5.0), Some(5.0)]] {
            let shown = values.len();
            let svg = lines(values).svg(Language::English, "sans-serif").expect("drawn");
            assert_eq!(circles(&svg), 2 + shown);
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
        let none =
            Bars { id: "b".into(), title: "t".into(), description: "d".into(), bars: Vec::new(), mark: None };
        assert!(
            none.svg(Language::Danish, "sans-serif")
                .expect("drawn")
                .contains(&Language::Danish.text("chart-empty"))
        );
    }

    #[test]
    fn what_is_written_in_a_chart_is_escaped_and_said_to_who_does_not_see_it() {
        let svg = lines(vec![Some(1.0)]).svg(Language::Danish, "sans-serif").expect("drawn");
        assert!(svg.contains("own &lt;b&gt;") && !svg.contains("<b>"), "{svg}");
        assert!(svg.starts_with("<svg role=\"img\" aria-labelledby=\"c1-t c1-d\""), "{}", &svg[..120]);
        assert!(svg.contains("<title id=\"c1-t\">T &amp; t</title>"));
        assert!(
            !svg.contains(" style="),
            "styles of its own would be refused by the content security policy"
        );
    }

    #[test]
    fn a_hidden_bar_says_so_and_has_no_length() {
        let bar = |value, text: &str| Bar { name: "a".to_owned(), value, text: text.to_owned(), own: false };
        let bars = |list| Bars {
            id: "b".into(),
            title: "t".into(),
            description: "d".into(),
            bars: list,
            mark: None,
        };
        let shown = |svg: &str| svg.matches("<rect").count();
        let two =
            bars(vec![bar(Some(4.0), "4"), bar(Some(2.0), "2")]).svg(Language::Danish, "s").expect("drawn");
        let hidden =
            bars(vec![bar(Some(4.0), "4"), bar(None, "skjult")]).svg(Language::Danish, "s").expect("drawn");
        assert_eq!(shown(&two), shown(&hidden) + 1);
        assert!(hidden.contains("skjult"));
    }

    #[test]
    fn ticks_are_round_and_told_apart() {
        let found = ticks(0.0, 10.0, 6);
        assert!(found.len() >= 3 && found.len() <= 7, "{found:?}");
        assert_eq!(decimals(&[0.0, 0.5, 1.0]), 1);
        assert_eq!(decimals(&[1000.0, 2000.0]), 0);
    }
}
