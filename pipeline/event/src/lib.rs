//! Events, Arrow schemas, units and the traits at the edges: the leaf that every other crate knows.
