# bash completion for tallyd
_tallyd() {
  local current=${COMP_WORDS[COMP_CWORD]}
  if [ "${COMP_WORDS[COMP_CWORD-1]}" = --lang ]; then
    COMPREPLY=($(compgen -W 'en zh' -- "$current"))
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W '--check --insecure-loopback --lang --version' -- "$current"))
  else
    COMPREPLY=($(compgen -d -- "$current"))
  fi
}
complete -o filenames -F _tallyd tallyd
