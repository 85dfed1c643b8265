"""The Runner's hooks, one a file; importing `mmseg_vittm.engine` registers them."""
