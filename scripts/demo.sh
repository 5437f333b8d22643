#!/usr/bin/env bash
# From nothing to a judged model: environment, toy data set, training, evaluation, report. A second call skips what
# exists, and goes on with a training that was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
make_environment

newest() { # the newest demo run that holds the file $1
    compgen -G "runs/*/*_demo*/$1" | sort | tail -n 1 || true
}

finished=$(newest metrics.json)
if [[ -z $finished ]]; then
    checkpoint=$(newest checkpoints/last.ckpt)
    if [[ -n $checkpoint ]]; then
        .venv/bin/python train.py "resume=${checkpoint%/checkpoints/last.ckpt}"
    else
        .venv/bin/python train.py run.name=demo backbone.pretrained=false
    fi
    finished=$(newest metrics.json)
fi
run=${finished%/metrics.json}
echo
.venv/bin/python eval.py "run=$run"
echo
echo "report  file://$PWD/$run/report.html"
