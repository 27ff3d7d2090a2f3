"""The always-on entry point of a region: holds, wakes, routes, streams; creates no pods and decodes no audio."""
