"""Why a decision is what it is: as codes with parameters, and in English words. Pure."""
