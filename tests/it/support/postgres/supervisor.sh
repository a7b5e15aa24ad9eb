# Runs a private PostgreSQL cluster for as long as standard input stays open. The lines `stop` and `start` there do what they
# say, and are answered with `ready`.
#
# The test process holds the other end of that pipe. However it ends, kill -9 included, the pipe closes, and the server
# and its folder go away. Prints `ready` once the server answers; anything else is the reason why it does not.
# Environment: BINARIES (folder of initdb and pg_ctl), FOLDER (empty, owned by the current user), PORT, SETTINGS (further lines
# of the configuration).
set -u
exec 2>&1
# The test process may die before it has read anything: a write to the closed pipe must not end this shell, which has
# yet to clean up.
trap '' PIPE
cd "$FOLDER" || exit 1

clean_up() {
    "$BINARIES/pg_ctl" --pgdata=data --mode=immediate --wait stop >/dev/null 2>&1
    cd / && rm -rf "$FOLDER"
}

fail() {
    echo "$1"
    cat log 2>/dev/null
    clean_up
    exit 1
}

# A UTF-8 locale, so that lower() and ILIKE know letters beyond ASCII; not every system has the same ones.
initialise() {
    for locale in C.UTF-8 en_US.UTF-8 C; do
        rm -rf data
        "$BINARIES/initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 \
            --locale="$locale" --no-sync >log 2>&1 && return
    done
    return 1
}

initialise || fail 'initdb failed:'

# Durability is of no use to a cluster that lives for minutes, and costs most of the time of a small test.
cat >>data/postgresql.conf <<EOF
listen_addresses = '127.0.0.1'
port = $PORT
unix_socket_directories = ''
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
$SETTINGS
EOF

start() {
    "$BINARIES/pg_ctl" --pgdata=data --log=log --wait --timeout=60 start >/dev/null || fail 'PostgreSQL did not start:'
    echo ready
}

start
while read -r command; do
    case "$command" in
    stop) "$BINARIES/pg_ctl" --pgdata=data --mode=immediate --wait stop >/dev/null && echo ready ;;
    start) start ;;
    esac
done
clean_up
