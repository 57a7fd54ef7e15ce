//! Rules of the design that a run obeys, each by its number.
