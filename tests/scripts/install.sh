# shellcheck shell=bash
# Finds Rust, and installs tools that are missing. docs/demo.sh and tests/run.sh source it. Both define
# `die MESSAGE`: one line on standard error, then exit. $language is the language of what is said: zh, or English.

# Puts cargo on the PATH: rustup's is in a home, and under sudo in that of the user who called it.
find_cargo() {
    local home
    export PATH=$PATH:${CARGO_HOME:-~/.cargo}/bin
    ! command -v cargo >/dev/null && [[ ${SUDO_USER:-} ]] || return 0
    IFS=: read -r _ _ _ _ _ home _ < <(getent passwd "$SUDO_USER")
    export PATH=$PATH:$home/.cargo/bin RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
}

rust_is_old() { # older than the rust-version of Cargo.toml? $result is what rustc calls itself
    result=$(rustc --version 2>/dev/null) && [[ $result =~ ^rustc\ 1\.([0-9]+) ]] && ((BASH_REMATCH[1] < 88))
}

# The packages that have a tool, where they are not called as it is. A caller may add to these.
declare -A package=([cc]=gcc [ip]=iproute2 [nc]=netcat-openbsd [netstat]=net-tools [stdbuf]=coreutils
    [unshare]=util-linux)

# shellcheck disable=SC2034 # install_tools reads them
declare -A install_en=(
    [install-them]="missing: %s: install what has them on this system"
    [run-this]="missing: %s: run \"%s\""
    [run-as-root]="missing: %s: as root, run \"%s\""
    [run-now]="Missing: %s. Run \"%s\" now? [Y/n]"
    [installing]="Missing: %s. Installing:"
    [failed]="\"%s\" failed: see above"
    [no-file]="cannot make a file in %s: set TMPDIR"
) install_zh=(
    [install-them]="缺少 %s：请安装本系统中提供它们的软件包"
    [run-this]="缺少 %s：请运行 \"%s\""
    [run-as-root]="缺少 %s：请以 root 身份运行 \"%s\""
    [run-now]="缺少 %s。现在运行 \"%s\" 吗？[Y/n]"
    [installing]="缺少 %s。正在安装："
    [failed]="\"%s\" 失败：见上面的输出"
    [no-file]="不能在 %s 中创建文件：请设置 TMPDIR"
)

# install_tools TOOL...: with apt-get, as root or through sudo; on a terminal it asks first. If it cannot
# or may not install, it dies with the command that does.
install_tools() {
    local manager tool answer=yes how=run-this run log become=() install update=()
    local -n says=install_en
    [[ ${language-} != zh ]] || local -n says=install_zh
    for manager in apt-get dnf apk pacman ''; do command -v "$manager" >/dev/null && break; done
    case $manager in
    apt-get) install=(apt-get install -y) update=(apt-get update) package[cc]="gcc libc6-dev" ;;
    dnf) install=(dnf install) package[nc]=nmap-ncat ;;
    apk) install=(apk add) package[cc]="gcc musl-dev" ;;
    pacman) install=(pacman -S) package[nc]=openbsd-netcat ;;
    *) do_not_install install-them "$*" ;;
    esac
    for tool in "$@"; do
        read -ra tool <<<"${package[${tool%% *}]:-${tool%% *}}"
        install+=("${tool[@]}")
    done
    if ((EUID)); then
        if command -v sudo >/dev/null; then
            become=(sudo)
            [[ -t 0 ]] || sudo -n true 2>/dev/null || answer=no
        else
            how=run-as-root answer=no
        fi
    fi
    run="${become[*]}${become:+ }${install[*]}"
    ((${#update[@]})) || answer=no
    # shellcheck disable=SC2059 # what is said is a format
    if [[ $answer == yes && -t 0 ]]; then
        printf "${says[run-now]} " "$*" "$run" >&2
        read -r answer || answer=no
    fi
    [[ ${answer:-yes} == [yY]* ]] ||
        do_not_install "$how" "$*" "${update[*]:+${become[*]}${become:+ }${update[*]} && }$run"
    # shellcheck disable=SC2059
    printf "${says[installing]}\\n$ %s\\n" "$*" "$run"
    log=$(mktemp) || do_not_install no-file "${TMPDIR:-/tmp}"
    export DEBIAN_FRONTEND=noninteractive
    # A fresh system has no lists of packages yet, or old ones.
    "${become[@]}" "${install[@]}" >"$log" 2>&1 </dev/null ||
        { "${become[@]}" "${update[@]}" && "${become[@]}" "${install[@]}"; } >"$log" 2>&1 </dev/null ||
        { cat "$log" >&2 && rm -f -- "$log" && do_not_install failed "$run"; }
    rm -f -- "$log"
}

do_not_install() { # KEY ARGUMENT...: dies with these words of install_tools
    local message
    # shellcheck disable=SC2059 # what is said is a format
    printf -v message -- "${says[$1]}" "${@:2}"
    die "$message"
}
