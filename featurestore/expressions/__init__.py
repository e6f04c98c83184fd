"""SQL expressions evaluated over Arrow arrays, to the bit as the engine does; for whatever is not known exactly the
engine is asked itself."""
