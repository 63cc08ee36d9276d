//! HTTP over committed epochs: metrics, health and the published tables.
