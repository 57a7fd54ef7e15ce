//! Everything that is tested through the public interface; one binary, a module per subject.

mod replay;
