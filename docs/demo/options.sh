# shellcheck shell=bash disable=SC2034,SC2154 # the other files read what this one sets
# The arguments and the environment: what is shown, on which programs, in which language.

read_options() { # ARGUMENTS...
    kind=rust experiments='' pause='' split='' by_hand=''
    local help=''
    while (($#)); do
        case $1 in
        --c | --libc)
            [[ $kind == rust || $kind == "${1#--}" ]] || misuse c-or-libc
            kind=${1#--}
            ;;
        --only)
            [[ ${2:-} == [123] ]] || misuse which-experiment
            choose_experiments "$2"
            shift
            ;;
        --all) choose_experiments "1 2 3" ;;
        --pause) pause=1 ;;
        --split) split=1 pause=1 ;;
        --by-hand) by_hand=1 ;;
        --lang)
            [[ ${2:-} == [a-z][a-z] && -r $folder/words.$2.sh ]] || misuse_language
            read_words "$2"
            shift
            ;;
        -h | --help) help=1 ;;
        *) misuse unknown-argument "$1" ;;
        esac
        shift
    done
    [[ ! $help ]] || { out "${words[usage]}" && exit; }
    [[ ! $by_hand || ! $pause ]] || misuse by-hand-alone
    [[ ! $pause || -t 0 ]] || misuse no-terminal-to-read
    [[ ! $split || -t 1 ]] || misuse no-terminal-to-write
    experiments=${experiments:-1 2}
    [[ $kind == rust ]] || unbuffered=(stdbuf -oL)
    if [[ ${CARGO_TARGET_DIR:-} ]]; then
        [[ $CARGO_TARGET_DIR == /* ]] || CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR
    else
        CARGO_TARGET_DIR=$root/target/demo
    fi
    export CARGO_TARGET_DIR LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:${CARGO_HOME:-~/.cargo}/bin
}

choose_experiments() { # NUMBERS
    [[ ! $experiments || $experiments == "$1" ]] || misuse only-or-all
    experiments=$1
}

choose_language() { # of the locale, if there are words in it and it has their encoding
    local locale=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}
    utf8=''
    [[ $locale != *.[Uu][Tt][Ff]* ]] || utf8=1
    if [[ $utf8 && $locale == [a-z][a-z][_.]* && -r $folder/words.${locale:0:2}.sh ]]; then
        read_words "${locale:0:2}"
    else
        read_words en
    fi
}

read_words() { # LANGUAGE
    language=$1
    # shellcheck source=docs/demo/words.en.sh
    . "$folder/words.$language.sh"
}

misuse() { # KEY ARGUMENT...: as fail, with the status of wrong usage
    failure=2
    fail "$@"
}

misuse_language() {
    local file known=''
    for file in "$folder"/words.*.sh; do
        file=${file%.sh}
        known+="${known:+, }${file##*.}"
    done
    misuse which-language "$known"
}
