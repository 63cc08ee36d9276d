-- layer: A
-- grain: area_kind, area, municipality, valid_from
-- unit: none
-- why: which municipalities an area consists of at a date; the country is published as a figure of its own
-- danish: Områdeinddeling
-- source: sql/reference/areas.csv
WITH areas AS (
    SELECT * FROM ref_areas
)
SELECT 'municipality' AS area_kind, municipality AS area, municipality, valid_from, valid_to FROM areas
UNION ALL
SELECT 'jobcentre' AS area_kind, jobcentre AS area, municipality, valid_from, valid_to FROM areas
UNION ALL
SELECT 'cluster' AS area_kind, "cluster" AS area, municipality, valid_from, valid_to FROM areas
UNION ALL
SELECT 'region' AS area_kind, region AS area, municipality, valid_from, valid_to FROM areas
UNION ALL
SELECT 'country' AS area_kind, '0000' AS area, '0000' AS municipality, DATE '1900-01-01' AS valid_from, CAST(NULL AS DATE) AS valid_to
