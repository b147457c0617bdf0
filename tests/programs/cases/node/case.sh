# Node.js builds and drops objects, compresses, hashes and runs worker threads.
# needs: nodejs:/usr/bin/node
# preloaded: node
# limit: 60

prepare() { :; }

program() {
    node "$CASE/work.js"
}
