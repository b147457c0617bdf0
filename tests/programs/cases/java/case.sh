# The JVM compiles a program and runs it: collections, threads, compression, direct buffers.
# needs: default-jdk-headless:/usr/bin/javac
# preloaded: java javac
# limit: 90

prepare() { :; }

program() {
    javac -Xlint:all -d classes "$CASE/Work.java"
    sha256sum classes/*.class
    java -Xmx512m -cp classes Work
}
