"""Texts to train on, made from a grammar and a word list of clean provenance."""
