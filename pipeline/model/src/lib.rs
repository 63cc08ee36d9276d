//! The model: SQL files with checked headers, their order, layers and pure transforms over Arrow.
