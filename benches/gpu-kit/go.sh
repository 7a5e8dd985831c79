#!/usr/bin/env bash
# What a borrowed GPU machine is asked, in order of worth, each step with its own time limit and all within six minutes. Needs bash and coreutils;
# Rust, a network or a Vulkan loader it does not. Results lie under $OUT (default: out/ beside this file) in eight files at most.
#   FEATHERM_KIT_SECONDS  seconds for everything (default 340)
#   VK_DRIVER_FILES       a driver's JSON to be tried first; with it a software device will do too, to rehearse
#   FEATHERM_KIT_SMALL=1  shapes that a software device can run, to rehearse
set -u
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:/usr/local/nvidia/bin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${OUT:-$here/out}
mkdir -p "$out"
limit=${FEATHERM_KIT_SECONDS:-340}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$out/log.txt
: > "$log"
tar -C "$work" -xzf "$here/kit.tar.gz" || exit 1
bin=$work/bin
export HOME=$work XDG_CACHE_HOME=$work/cache XDG_RUNTIME_DIR=$work

quoted() { printf '%s' "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'; }

steps=
# step NAME SECONDS FILE COMMAND…: output to FILE under $OUT and to the log; what became of it to the report.
step() {
    local name=$1 seconds=$2 file=$3 left rc start=$SECONDS
    shift 3
    left=$((limit - SECONDS))
    if [ "$left" -lt 5 ]; then
        steps="$steps${steps:+,}{\"step\":\"$name\",\"rc\":null,\"seconds\":0}"
        printf '%-34s no time left\n' "$name"
        return 1
    fi
    [ "$seconds" -le "$left" ] || seconds=$left
    timeout -k 5 "$seconds" "$@" > "$work/stdout" 2> "$work/stderr" < /dev/null
    rc=$?
    { printf '\n===== %s: %s\n' "$name" "$*"; cat "$work/stdout" "$work/stderr"; printf '===== %s: status %s after %s s\n' "$name" "$rc" "$((SECONDS - start))"; } >> "$log"
    # A document over several lines becomes one line.
    if [ "$(head -1 "$work/stdout")" = '{' ]; then tr -d '\n' < "$work/stdout"; echo; else cat "$work/stdout"; fi >> "$out/$file"
    steps="$steps${steps:+,}{\"step\":\"$name\",\"rc\":$rc,\"seconds\":$((SECONDS - start))}"
    printf '%-34s status %-3s %4s s   %s\n' "$name" "$rc" "$((SECONDS - start))" "$(tail -1 "$work/stdout" | cut -c1-110)"
    return "$rc"
}

report() {
    printf '{"schema":"featherm.gpu-kit/1","commit":"%s","device":"%s","driver_file":"%s","loader":"%s","seconds":%s,"steps":[%s]}\n' \
        "$(quoted "$(cat "$work/commit")")" "$(quoted "${device:-none}")" "$(quoted "${VK_DRIVER_FILES:-}")" "$(quoted "${loader:-}")" "$SECONDS" "$steps" > "$out/report.json"
}

# --- The machine. Only questions are asked of it.
machine() {
    uname -srm; nproc; head -2 /etc/os-release
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,clocks.max.mem,power.limit --format=csv 2>&1
    ls -d /usr/local/nvidia/* /usr/share/vulkan/icd.d/* /etc/vulkan/icd.d/* /usr/local/nvidia/share/vulkan/icd.d/* 2> /dev/null
    ldconfig -p 2> /dev/null | grep -E 'libvulkan|_nvidia\.so|libX11\.so|libXext|libGLdispatch|libEGL\.so'
    env | grep -E '^(NVIDIA|VK|CUDA)_' ; true
}
export -f machine
step machine 15 machine.txt bash -c machine

# --- Libraries: of the carried ones those that the system lacks.
mkdir -p "$work/use"
for library in "$work"/lib/*; do
    name=${library##*/}
    ldconfig -p 2> /dev/null | grep -qF "$name (" || ln -s "$library" "$work/use/$name"
done
loader=$([ -e "$work/use/libvulkan.so.1" ] && echo carried || echo system)
path=$work/use
for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do [ -d "$folder" ] && path=$path:$folder; done
export LD_LIBRARY_PATH=$path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# --- The driver: files that exist, then files written for the libraries that exist, GLX's before EGL's.
candidates=()
preset=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}
[ -n "$preset" ] && candidates+=("$preset")
for file in /usr/local/nvidia/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*nvidia*.json /usr/share/vulkan/icd.d/*nvidia*.json /usr/local/share/vulkan/icd.d/*nvidia*.json; do
    [ -f "$file" ] && candidates+=("$file")
done
for name in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
    for file in $(ldconfig -p 2> /dev/null | awk -v l="$name" '$1 == l { print $NF }') \
        /usr/local/nvidia/lib64/$name /usr/local/nvidia/lib/$name /usr/lib/x86_64-linux-gnu/$name /usr/lib64/$name; do
        [ -e "$file" ] || continue
        written=$work/icd-${#candidates[@]}.json
        printf '{"file_format_version":"1.0.1","ICD":{"library_path":"%s","api_version":"1.3.0"}}\n' "$file" > "$written"
        candidates+=("$written")
    done
done
device=
for file in "${candidates[@]+"${candidates[@]}"}"; do
    export VK_DRIVER_FILES=$file VK_ICD_FILENAMES=$file
    VK_LOADER_DEBUG=error,warn step "devices by ${file##*/}" 30 devices.txt "$bin/featherm" devices
    wanted='discrete GPU|integrated GPU|virtual GPU'
    [ "$file" = "$preset" ] && wanted="$wanted|software"
    device=$(grep -E -m1 "^[0-9]+: .*($wanted)" "$work/stdout") && break
done
report
# By its number, which is the list's.
index=${device%%:*}

if [ -z "$device" ]; then
    echo "no driver gave a GPU; what the loader says of it, and what the drivers lack, is in log.txt"
    unset VK_DRIVER_FILES VK_ICD_FILENAMES
    lacking() { for l in /usr/local/nvidia/lib*/lib{GLX,EGL}_nvidia.so.0 /usr/lib*/lib{GLX,EGL}_nvidia.so.0 /usr/lib/x86_64-linux-gnu/lib{GLX,EGL}_nvidia.so.0; do [ -e "$l" ] && { echo "$l"; ldd "$l" | grep 'not found'; }; done; true; }
    export -f lacking
    step lacking 20 devices.txt bash -c lacking
    VK_LOADER_DEBUG=all step loader 20 devices.txt "$bin/featherm" devices
else
    echo "$device"
    export FEATHERM_GPU=$index FEATHERM_REQUIRE_GPU=1
    # A GPU takes every test, a software device in rehearsal those that are fast.
    if [ -n "${FEATHERM_KIT_SMALL:-}" ]; then all=(--test-threads 2); else all=(--include-ignored --test-threads 8); export FEATHERM_TEST_LONG=1; fi
    # --- Right? The doctor holds every stage against float64 on the CPU.
    step doctor 60 doctor.txt "$bin/featherm" doctor
    # --- Fast? P, N0, N1, chains.
    if [ -n "${FEATHERM_KIT_SMALL:-}" ]; then
        shapes=("20 10 15 4" "30 40 33 2" "50 20 10 2")
    else
        shapes=("1000 784 1000 64" "100 100 100 2400" "500 784 500 128")
    fi
    speed() {
        read -r p n0 n1 chains <<< "$2"
        step "bench $1 P$p N$n0 N1=$n1 x$chains" 25 bench.jsonl "$bin/featherm" bench --backend gpu --adapter "$index" --precision "$1" --steps-only --rounds 3 --json \
            --data teacher:linear --teacher-dimension "$n0" --train "$p" --test 0 --width "$n1" --chains "$chains" --temperatures 1
        grep -E '"(readout|chain_steps_per_s|gflops|tiling|gaps)":' "$work/stdout" | tr -s ' \n' ' '; echo
        report
    }
    for shape in "${shapes[@]}"; do speed f32 "$shape"; done
    for shape in "${shapes[@]}"; do speed f16-matrix "$shape"; done
    step parity 90 tests.txt "$bin/environment" gpu::parity:: "${all[@]}"
    report
fi
python=$(command -v python3 || true)
if [ -n "$python" ] && (cd / && timeout 60 "$python" -c 'import torch') 2> /dev/null; then
    step torch 60 torch.jsonl "$python" "$here/torch_step.py" ${FEATHERM_KIT_SMALL:+--small}
else
    echo "no PyTorch here"
fi
if [ -n "$device" ]; then
    step kernels 45 kernels.jsonl "$bin/gpu" ${FEATHERM_KIT_SMALL:+--test}
    for shape in "${shapes[@]}"; do speed f16 "$shape"; done
    step "largest system" 20 tests.txt "$bin/environment" gpu::the_largest_system --include-ignored
    step half_forces 30 tests.txt "$bin/environment" gpu::half_forces:: "${all[@]}" --skip reference
    step controls 60 tests.txt "$bin/environment" gpu::control:: "${all[@]}"
fi
# Eight files come back.
{ echo "===== machine"; cat "$out/machine.txt"; echo "===== devices"; cat "$out/devices.txt"; } > "$out/system.txt" 2> /dev/null
rm -f "$out/machine.txt" "$out/devices.txt"
report
echo "all took $SECONDS s"
