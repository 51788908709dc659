class VerdictCache: ...  # placeholder: records helper is writing this file
