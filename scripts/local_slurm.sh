#!/usr/bin/env bash
# A Slurm of one node on this machine, to try a sweep on before it goes to a queue.
#   bash scripts/local_slurm.sh start     then: export SLURM_CONF=..., which it prints
#   bash scripts/local_slurm.sh status    its nodes, its queue, and the jobs that have ended
#   bash scripts/local_slurm.sh stop
# It needs Slurm and munge (Debian, Ubuntu: apt-get install --no-install-recommends slurm-wlm munge) and nothing that a
# system runs: daemons of the user who starts them, root or another, with all they write in LOCAL_SLURM
# (/tmp/local_slurm_USER). LOCAL_SLURM_CPUS is how many jobs of one CPU run at once (the cores there are). Where slurmdbd
# and mariadb-server are installed too, sacct tells of the jobs.
set -euo pipefail

user=$(id -un)
port=${LOCAL_SLURM_PORT:-46817} # and the three after it
dir=${LOCAL_SLURM:-/tmp/local_slurm_$user}
cpus=${LOCAL_SLURM_CPUS:-$(nproc)}
export SLURM_CONF=$dir/slurm.conf PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "error: $*" >&2
    exit 2
}

configure() {
    local host
    host=$(hostname -s)
    cat > "$SLURM_CONF" << EOF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
# a job that is queued again waits for cred_expire seconds, else two minutes
AuthInfo=socket=$dir/munge.socket,cred_expire=5
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
# containers have neither cgroups of their own nor an init that knows Slurm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=60
MinJobAge=86400
# a line for each job that has ended
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/ended.txt
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=local Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
}

# What sacct asks: slurmdbd, on a data base of its own.
account() {
    local password
    password=$(head -c 18 /dev/urandom | base64)
    rm -rf "$dir/mariadb"
    mariadb-install-db --no-defaults --datadir="$dir/mariadb" --user="$user" --auth-root-authentication-method=normal \
        > "$dir/mariadb.log" 2>&1 || fail "MariaDB cannot make a data base: see $dir/mariadb.log"
    setsid mariadbd --no-defaults --datadir="$dir/mariadb" --user="$user" --socket="$dir/mariadb.socket" \
        --pid-file="$dir/mariadbd.pid" --bind-address=127.0.0.1 --port=$((port + 2)) --skip-name-resolve \
        --innodb-lock-wait-timeout=900 >> "$dir/mariadb.log" 2>&1 < /dev/null &
    for _ in $(seq 60); do
        mariadb --no-defaults --socket="$dir/mariadb.socket" --user=root -e "create user slurm@127.0.0.1 identified by
            '$password'; grant all on slurm.* to slurm@127.0.0.1" 2> /dev/null && break
        sleep 1
    done
    (umask 077 && cat > "$dir/slurmdbd.conf") << EOF
AuthInfo=socket=$dir/munge.socket
DbdHost=localhost
DbdPort=$((port + 3))
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 2))
StorageUser=slurm
StoragePass=$password
StorageLoc=slurm
PidFile=$dir/slurmdbd.pid
LogFile=$dir/slurmdbd.log
EOF
    cat >> "$SLURM_CONF" << EOF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$((port + 3))
AccountingStoragePass=$dir/munge.socket
EOF
    slurmdbd || fail "slurmdbd does not start: see $dir/slurmdbd.log"
    for _ in $(seq 60); do
        sacctmgr --immediate --quiet add cluster local > /dev/null 2>&1 && return
        sleep 1
    done
    fail "slurmdbd does not answer: see $dir/slurmdbd.log"
}

alive() {
    [[ -f $dir/$1.pid ]] && kill -0 "$(< "$dir/$1.pid")" 2> /dev/null
}

start() {
    local program
    for program in munged slurmctld slurmd sbatch; do
        command -v $program > /dev/null \
            || fail "$program is not installed: apt-get install --no-install-recommends slurm-wlm munge"
    done
    alive slurmctld && fail "it runs already in $dir: export SLURM_CONF=$SLURM_CONF, or stop it first"
    mkdir -p "$dir/state" "$dir/spool"
    chmod 755 "$dir"
    configure
    [[ -f $dir/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" || fail "munged does not start: see $dir/munged.log"
    if command -v slurmdbd > /dev/null && command -v mariadbd > /dev/null; then account; fi
    slurmctld || fail "slurmctld does not start: see $dir/slurmctld.log"
    slurmd || fail "slurmd does not start: see $dir/slurmd.log"
    for _ in $(seq 60); do
        if [[ $(sinfo --noheader --format=%T 2> /dev/null) == idle ]]; then
            echo "Slurm runs with $cpus CPUs; its files are in $dir"
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 1
    done
    fail "the node is not ready after a minute: see $dir/slurmctld.log and $dir/slurmd.log"
}

stop() {
    local program
    if alive slurmctld; then
        scancel --user="$user" 2> /dev/null || true
        sleep 2
    fi
    for program in slurmd slurmctld slurmdbd mariadbd munged; do
        if alive $program; then kill "$(< "$dir/$program.pid")"; fi
    done
    echo "stopped; its files are still in $dir"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    status)
        alive slurmctld || fail "it does not run: bash scripts/local_slurm.sh start"
        sinfo && squeue && if [[ -f $dir/ended.txt ]]; then cut -c -160 "$dir/ended.txt"; fi
        ;;
    *) fail "give start, stop or status" ;;
esac
