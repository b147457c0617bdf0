# Two ranks under Open MPI exchange messages of all sizes and write into each other's windows.
# needs: openmpi-bin:/usr/bin/mpirun libopenmpi-dev:/usr/bin/mpicc gcc:/usr/bin/gcc
# preloaded: exchange mpirun
# limit: 60

prepare() {
    mpicc -std=gnu11 -Wall -Wextra -O2 -o exchange "$CASE/exchange.c"
}

# Ranks on one machine need no network; the launcher is told not to look for any, nor for another
# scheduler's daemons, and to accept root and a machine with a single core.
program() {
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    mpirun --oversubscribe -n 2 --mca btl self,vader --mca plm isolated --mca ras ^slurm,tm \
        --mca oob_tcp_if_include lo ./exchange
}
