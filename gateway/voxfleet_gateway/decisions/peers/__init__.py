"""Regions of other clusters, as far as decisions need them: their gateways' URLs, reports, and own requests there."""
