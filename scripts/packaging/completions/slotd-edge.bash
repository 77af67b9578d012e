# Completion of slotd-edge for bash.
_slotd_edge() {
  local word=${COMP_WORDS[COMP_CWORD]}
  case "${COMP_WORDS[COMP_CWORD - 1]}" in
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "${word:-/etc/slotd-edge/}") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "--config --check-config --render-base --json --pretty --version --help" -- "$word") ;;
  esac
}
complete -o filenames -F _slotd_edge slotd-edge
