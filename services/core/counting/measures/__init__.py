"""One measure a module: what a window's facts come to, exactly, and which facts those were."""
