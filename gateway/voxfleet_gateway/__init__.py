"""The always-on door of a region: it holds, wakes, routes and streams; it creates no pods and decodes no audio."""
