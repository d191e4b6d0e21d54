# shellcheck shell=bash disable=SC2034,SC2059,SC2154 # other files set and read the variables; formats are words
# The table of every outcome, expected and seen; and the exit status.

report() {
    local row cells text line lines=() differ=0 verdict
    pending=1 remains=''
    wait_here # or the table would take the place of the last answer
    close_panes
    lines=("" "$bold${words[outcomes]}$plain")
    table_row "${words[columns]}"
    lines+=("$dim${line%"${line##*[! ]}"}$plain")
    for row in "${results[@]}"; do
        IFS='|' read -ra cells <<<"$row"
        verdict=$green${words[ok]}$plain
        [[ ${cells[3]} == "${cells[4]}" ]] || { verdict=$red${words[not-ok]}$plain && ((++differ)); }
        table_row "$row"
        lines+=("$line$verdict")
    done
    if [[ $experiments == *3* ]]; then lines+=("${words[in-use-of-nc]}"); else lines+=("${words[in-use-is]}"); fi
    if ((!differ)); then
        printf -v line "${words[as-expected]}" "${#results[@]}"
        lines+=("" "$line")
    fi
    out "${lines[@]}"
    keep_report "${lines[@]}"
    ((!differ)) || fail outcomes-differ "$differ" "${#results[@]}"
}

table_row() { # CELLS: into $line
    local cells i columns=(21 12 12 12 12)
    IFS='|' read -ra cells <<<"$1"
    line=''
    for i in 0 1 2 3 4; do
        pad "${cells[i]}" "${columns[i]}"
        line+=$text
    done
}
