# shellcheck shell=bash disable=SC2034,SC2154 # the other files read what this one sets
# The arguments and the environment: what is shown, on which programs, in which language.

read_options() { # ARGUMENTS...
    kind=rust experiments='' pause='' split='' by_hand='' language=''
    local help=''
    choose_language
    while (($#)); do
        case $1 in
        --c | --libc)
            [[ $kind == rust || $kind == "${1#--}" ]] || die "--c and --libc exclude each other" 2
            kind=${1#--}
            ;;
        --only)
            [[ ${2:-} == [123] ]] || die "--only takes 1, 2 or 3: see --help" 2
            choose_experiments "$2"
            shift
            ;;
        --all) choose_experiments "1 2 3" ;;
        --pause) pause=1 ;;
        --split) split=1 pause=1 ;;
        --by-hand) by_hand=1 ;;
        --lang)
            language=${2:-}
            [[ $language == [a-z][a-z] && -r $folder/words.$language.sh ]] || die_of_language
            shift
            ;;
        -h | --help) help=1 ;;
        *) die "unknown argument \"$1\": see --help" 2 ;;
        esac
        shift
    done
    # shellcheck source=docs/demo/words.en.sh
    . "$folder/words.$language.sh"
    [[ ! $help ]] || { out "${words[usage]}" && exit; }
    [[ ! $by_hand || ! $pause ]] || die "--by-hand only prints: leave --pause and --split out" 2
    [[ ! $pause || -t 0 ]] || die "--pause and --split need a terminal to read from" 2
    [[ ! $split || -t 1 ]] || die "--split needs a terminal to write to" 2
    experiments=${experiments:-1 2}
    [[ $kind == rust ]] || unbuffered=(stdbuf -oL)
    if [[ ${CARGO_TARGET_DIR:-} ]]; then
        [[ $CARGO_TARGET_DIR == /* ]] || CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR
    else
        CARGO_TARGET_DIR=$root/target/demo
    fi
    export CARGO_TARGET_DIR LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:${CARGO_HOME:-${HOME:-}/.cargo}/bin
}

choose_experiments() { # NUMBERS
    [[ ! $experiments || $experiments == "$1" ]] || die "--only and --all: give one of them, once" 2
    experiments=$1
}

choose_language() { # of the locale, if there are words in it and it has their encoding
    local locale=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}
    language=en utf8=''
    [[ $locale == *.[Uu][Tt][Ff]* ]] || return
    utf8=1
    [[ $locale == [a-z][a-z][_.]* && -r $folder/words.${locale:0:2}.sh ]] && language=${locale:0:2}
}

die_of_language() {
    local file known=''
    for file in "$folder"/words.*.sh; do
        file=${file%.sh}
        known+="${known:+, }${file##*.}"
    done
    die "--lang takes one of: $known" 2
}
