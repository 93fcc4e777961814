//! Whole runs: the real program against the stand-ins.
