"""The parts of pages that are made from models: one function per part, which returns Markdown."""
