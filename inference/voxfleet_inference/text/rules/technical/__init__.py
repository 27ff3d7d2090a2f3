"""Rules for what people copy from programs: addresses, formulas, codes. Pure."""
