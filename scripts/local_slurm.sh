#!/usr/bin/env bash
# A Slurm of one node on this machine, to try a sweep on before it goes to a queue.
#   bash scripts/local_slurm.sh start     then: export SLURM_CONF=..., which it prints
#   bash scripts/local_slurm.sh status    its nodes, its queue, and the jobs that have ended
#   bash scripts/local_slurm.sh stop
# It needs Slurm and munge (Debian, Ubuntu: apt-get install --no-install-recommends slurm-wlm munge) and nothing that a
# system runs: three daemons of the user who starts them, root or another, with all they write in LOCAL_SLURM
# (/tmp/local_slurm_USER). LOCAL_SLURM_CPUS is how many jobs of one CPU run at once (the cores there are).
set -euo pipefail

user=$(id -un)
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
SlurmctldPort=${LOCAL_SLURM_PORT:-46817}
SlurmdPort=$((${LOCAL_SLURM_PORT:-46817} + 1))
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
# sacct needs a data base; this is a line for each job that has ended
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/ended.txt
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=local Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
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
    for program in slurmd slurmctld munged; do
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
