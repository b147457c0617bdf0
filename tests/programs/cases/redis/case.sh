# Redis serves its own benchmark, then keeps, saves and reloads a fixed data set.
# needs: redis-server:/usr/bin/redis-server redis-tools:/usr/bin/redis-benchmark
# preloaded: redis-benchmark redis-cli redis-server
# limit: 60

prepare() { :; }

# A socket in the working folder and no port: no other server is met, and no network needed.
start_server() {
    redis-server --port 0 --unixsocket redis.sock --save '' --dbfilename dump.rdb \
        --enable-debug-command local --io-threads 2 --logfile server.log &
    server=$!
    until [[ $(redis-cli -s redis.sock PING 2>&1) == PONG ]]; do
        kill -0 "$server"
        sleep 0.05
    done
}

stop_server() {
    redis-cli -s redis.sock SHUTDOWN NOSAVE
    wait "$server"
}

# Commands that leave strings, hashes, lists, sets and sorted sets.
fixed_data() {
    awk 'BEGIN {
        for (i = 0; i < 40000; i++) {
            printf "SET string:%d %0*d\n", i % 20000, i * 31 % 700 + 1, i
            printf "APPEND text:%d part%d,\n", i % 100, i
            printf "HSET hash:%d field%d %d\n", i % 500, i % 300, i
            printf "LPUSH list:%d element%d\n", i % 50, i
            printf "ZADD sorted:%d %d member%d\n", i % 50, i * 7919 % 10007, i
            if (i % 3 == 0)
                printf "DEL string:%d\n", i % 20000
        }
    }'
}

answers() {
    redis-cli -s redis.sock DBSIZE
    redis-cli -s redis.sock DEBUG DIGEST
}

program() {
    start_server
    # The benchmark prints figures of speed; what counts here is that it ends well.
    redis-benchmark -s redis.sock -q --threads 2 -c 50 -n 10000 -r 10000 -d 200 \
        -t set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,lrange_100,mset >benchmark
    redis-benchmark -s redis.sock -q -c 20 -n 30000 -P 16 -r 30000 -d 3000 -t set,get >>benchmark
    redis-cli -s redis.sock FLUSHALL

    fixed_data | redis-cli -s redis.sock --pipe
    answers
    redis-cli -s redis.sock EVAL "local n = 0
        for i = 1, 200000 do n = n + #(tostring(i) .. 'x') end
        return n" 0
    redis-cli -s redis.sock CONFIG SET list-max-listpack-size 10
    redis-cli -s redis.sock BGSAVE
    while [[ $(redis-cli -s redis.sock INFO persistence) == *rdb_bgsave_in_progress:1* ]]; do
        sleep 0.05
    done
    redis-cli -s redis.sock DEBUG RELOAD
    answers
    stop_server
    # The save in the background was a child, forked while the server's threads were there.
    start_server
    answers
    stop_server
}
