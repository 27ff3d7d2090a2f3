"""One HTML page about a study: its tables and plots, without any other file. Light and dark, as the reader's system.

Knows the page's form. Does not know what the figures mean (report.py has the tables, plots.py the plots).
"""

import io
from html import escape

from rich.console import Console

from voxfleet_simulation.results.plots import svg_plots
from voxfleet_simulation.results.report import print_study
from voxfleet_simulation.results.study import Study

TABLE_WIDTH = 150
STYLE = """
:root { color-scheme: light dark; --ink: #20242a; --paper: #ffffff; --soft: #f3f4f6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16181c; --soft: #20242a; } }
body { color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
pre { background: var(--soft); border-radius: .5rem; font: 12px/1.45 ui-monospace, monospace; overflow-x: auto;
  padding: 1rem; }
figure { margin: 1.5rem 0; }
svg { height: auto; max-width: 100%; }
svg text { fill: currentColor; }
"""


def html_page(study: Study) -> str:
    """Return the page."""
    file = io.StringIO()
    print_study(study, Console(file=file, width=TABLE_WIDTH, no_color=True))
    title, _, tables = file.getvalue().partition("\n")
    figures = "\n".join(f"<figure>{svg}</figure>" for svg in svg_plots(study).values())
    name, description = escape(study.scenario.name), escape(study.scenario.description)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{name}</h1>\n<p>{description}; seed {study.scenario.seed}</p>\n"
        f"{figures}\n<pre>{escape(tables)}</pre>\n</body>\n</html>\n"
    )
