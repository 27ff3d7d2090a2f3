"""An installation without nodes, for tests: the product's processes, and small HTTP servers where pods would be."""
