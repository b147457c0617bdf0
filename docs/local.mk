# docs - how it works; read in the source tree.

EXTRA_DIST += %D%
