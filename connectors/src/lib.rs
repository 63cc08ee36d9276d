//! Connectors: fetch, parse and produce what official sources publish; they keep only a cursor.
