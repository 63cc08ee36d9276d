"""What the Danish profile of catalogues, DCAT-AP-DK 2.0.2 (Digitaliseringsstyrelsen), wants of the classes that our catalogue has.

Source: the profile's strict SHACL shapes, `releases/v 2.1.0/validation/dcat-ap-dk_2.0.2_shacl_shapes-strict.ttl` in digst/DCAT-AP-DK on GitHub;
carried over are the facts: class, property, how much it is wanted, how often it may stand, and what it must point at. Properties that
Rettidig does not say and that the profile leaves open are not listed.
"""

from __future__ import annotations

import dataclasses

import rdflib
from rdflib import DCAT, DCTERMS as DCT, FOAF, OWL, RDF, SKOS, XSD

ADMS = rdflib.Namespace("http://www.w3.org/ns/adms#")
DCAT_AP = rdflib.Namespace("http://data.europa.eu/r5r/")
DCAT_DK = rdflib.Namespace("https://data.gov.dk/model/core/dcat-dk/")
ORG = rdflib.Namespace("http://www.w3.org/ns/org#")
SPDX = rdflib.Namespace("http://spdx.org/rdf/terms#")
VCARD = rdflib.Namespace("http://www.w3.org/2006/vcard/ns#")

MANDATORY, RECOMMENDED, OPTIONAL = "mandatory", "recommended", "optional"
LITERAL, NODE, DAY = "a literal", "a resource", "a day or an instant"
ONE, MANY = 1, None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A property of a class: how much it is wanted, how often it may stand, what it points at (one of the words above, a class, a type)."""

    path: rdflib.URIRef
    need: str
    most: int | None
    of: str | rdflib.URIRef


PROFILE: dict[rdflib.URIRef, list[Wanted]] = {
    DCAT.Catalog: [
        Wanted(DCT.title, MANDATORY, MANY, LITERAL),
        Wanted(DCT.description, MANDATORY, MANY, LITERAL),
        Wanted(DCT.publisher, MANDATORY, ONE, FOAF.Agent),
        Wanted(DCAT.dataset, MANDATORY, MANY, DCAT.Dataset),
        Wanted(DCT.issued, RECOMMENDED, ONE, DAY),
        Wanted(DCT.modified, RECOMMENDED, ONE, DAY),
        Wanted(FOAF.homepage, RECOMMENDED, ONE, FOAF.Document),
        Wanted(DCT.language, RECOMMENDED, MANY, DCT.LinguisticSystem),
        Wanted(DCT.spatial, RECOMMENDED, MANY, DCT.Location),
        Wanted(DCT.license, RECOMMENDED, ONE, DCT.LicenseDocument),
        Wanted(DCAT.themeTaxonomy, RECOMMENDED, MANY, SKOS.ConceptScheme),
        Wanted(DCT.rights, OPTIONAL, ONE, DCT.RightsStatement),
    ],
    DCAT.Dataset: [
        Wanted(DCT.title, MANDATORY, MANY, LITERAL),
        Wanted(DCT.description, MANDATORY, MANY, LITERAL),
        Wanted(DCT.identifier, RECOMMENDED, MANY, LITERAL),
        Wanted(DCT.publisher, RECOMMENDED, ONE, FOAF.Agent),
        Wanted(DCT.creator, RECOMMENDED, ONE, FOAF.Agent),
        Wanted(DCAT_DK.datasetResponsibleOrganisation, RECOMMENDED, ONE, ORG.Organization),
        Wanted(DCAT.contactPoint, RECOMMENDED, MANY, VCARD.Kind),
        Wanted(DCAT.theme, RECOMMENDED, MANY, SKOS.Concept),
        Wanted(DCT.temporal, RECOMMENDED, MANY, DCT.PeriodOfTime),
        Wanted(DCT.issued, RECOMMENDED, ONE, DAY),
        Wanted(DCT.modified, RECOMMENDED, ONE, DAY),
        Wanted(DCT.language, RECOMMENDED, MANY, DCT.LinguisticSystem),
        Wanted(DCT.conformsTo, RECOMMENDED, MANY, DCT.Standard),
        Wanted(DCT.accrualPeriodicity, RECOMMENDED, ONE, DCT.Frequency),
        Wanted(DCAT.landingPage, RECOMMENDED, MANY, FOAF.Document),
        Wanted(FOAF.page, RECOMMENDED, MANY, FOAF.Document),
        Wanted(DCAT.distribution, RECOMMENDED, MANY, DCAT.Distribution),
        Wanted(DCAT.keyword, OPTIONAL, MANY, LITERAL),
        Wanted(DCT.spatial, OPTIONAL, MANY, DCT.Location),
        Wanted(DCT.accessRights, OPTIONAL, ONE, DCT.RightsStatement),
        Wanted(DCT.provenance, OPTIONAL, MANY, DCT.ProvenanceStatement),
        Wanted(OWL.versionInfo, OPTIONAL, ONE, LITERAL),
        Wanted(ADMS.versionNotes, OPTIONAL, MANY, LITERAL),
    ],
    DCAT.Distribution: [
        Wanted(DCAT.accessURL, MANDATORY, MANY, NODE),
        Wanted(DCAT_AP.availability, RECOMMENDED, ONE, SKOS.Concept),
        Wanted(DCT.description, RECOMMENDED, MANY, LITERAL),
        Wanted(DCT.license, RECOMMENDED, ONE, DCT.LicenseDocument),
        Wanted(DCT["format"], RECOMMENDED, ONE, DCT.MediaTypeOrExtent),
        Wanted(DCT.title, OPTIONAL, MANY, LITERAL),
        Wanted(DCT.modified, OPTIONAL, ONE, DAY),
        Wanted(DCT.conformsTo, OPTIONAL, MANY, DCT.Standard),
        Wanted(DCT.rights, OPTIONAL, ONE, DCT.RightsStatement),
        Wanted(DCAT.mediaType, OPTIONAL, ONE, DCT.MediaType),
        Wanted(DCAT.downloadURL, OPTIONAL, MANY, NODE),
        Wanted(DCAT.byteSize, OPTIONAL, ONE, XSD.decimal),
        Wanted(SPDX.checksum, OPTIONAL, ONE, SPDX.Checksum),
    ],
    FOAF.Agent: [Wanted(FOAF.name, MANDATORY, MANY, LITERAL)],
    SKOS.Concept: [Wanted(SKOS.prefLabel, MANDATORY, MANY, LITERAL)],
    SKOS.ConceptScheme: [Wanted(DCT.title, MANDATORY, MANY, LITERAL)],
    SPDX.Checksum: [Wanted(SPDX.checksumValue, MANDATORY, ONE, LITERAL), Wanted(SPDX.algorithm, MANDATORY, ONE, NODE)],
    DCT.PeriodOfTime: [Wanted(DCAT.startDate, RECOMMENDED, ONE, DAY), Wanted(DCAT.endDate, RECOMMENDED, ONE, DAY)],
}


def fits(graph: rdflib.Graph, value: rdflib.term.Node, of: str | rdflib.URIRef) -> bool:
    """Whether a value is what a property must point at."""
    is_literal = isinstance(value, rdflib.Literal)
    if of == LITERAL:
        return is_literal
    if of == NODE:
        return not is_literal
    if of == DAY:
        return is_literal and value.datatype in (XSD.date, XSD.dateTime) and value.ill_typed is not True
    if str(of).startswith(str(XSD)):
        return is_literal and value.datatype == of and value.ill_typed is not True
    return (value, RDF.type, of) in graph


def faults(graph: rdflib.Graph) -> tuple[list[tuple[rdflib.URIRef, str]], set[tuple[rdflib.URIRef, rdflib.URIRef]]]:
    """Breaches of the profile, as (property, what is wrong with which node), and recommended properties that a node lacks, as (class, property)."""
    breaches: list[tuple[rdflib.URIRef, str]] = []
    lacking: set[tuple[rdflib.URIRef, rdflib.URIRef]] = set()
    for kind, properties in PROFILE.items():
        for node in set(graph.subjects(RDF.type, kind)):
            for wanted in properties:
                values = list(graph.objects(node, wanted.path))
                path = wanted.path
                if not values and wanted.need == MANDATORY:
                    breaches.append((path, f"{node} has none"))
                if not values and wanted.need == RECOMMENDED:
                    lacking.add((kind, path))
                if wanted.most is not None and len(values) > wanted.most:
                    breaches.append((path, f"{node} has {len(values)}"))
                breaches += [(path, f"{node}: {value!r} is not {wanted.of}") for value in values if not fits(graph, value, wanted.of)]
    return breaches, lacking
