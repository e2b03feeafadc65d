# bash completion for tenantctl(1)

_tenantctl_tenants() {
  tenantctl --no-color --timeout 500ms tenant list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_tenantctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local globals="--socket --token-file --transport --timeout --json --no-color --version --help"
  local noun="" verb="" skip="" positionals=0 word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ -n $skip ]]; then skip=""; continue; fi
    case $word in
      --socket | --token-file | --transport | --timeout | --lines | -n | --embedding-file | --encoder | --alternatives | \
        --utterance | --keyword | --pattern | --always | --always-pattern | --never | --never-pattern | --priority | \
        --aggregation | --limit | --route | --threshold | --margin | --description | --tag | --ttl | --kind | --file | --mode | --embeddings | --dimension | --min-examples | --config | --tenants-dir | \
        --check | --queries | --connections | --depth | --rate | --duration | --since | --until | --count | --warm-up)
        [[ $word == --embeddings && $verb == export ]] || skip=1 ;;
      -*) ;;
      *)
        if [[ -z $noun ]]; then
          noun=$word
        elif [[ -z $verb && $noun =~ ^(tenant|routes|cache|config)$ ]]; then
          verb=$word
        else
          positionals=$((positionals + 1))
        fi ;;
    esac
  done
  case $previous in
    --socket | --token-file | --embedding-file | --file | --queries | --config | --embeddings)
      [[ $previous == --embeddings && $verb == export ]] || { mapfile -t COMPREPLY < <(compgen -f -- "$current"); return; } ;;
    --tenants-dir) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --transport) mapfile -t COMPREPLY < <(compgen -W "ring stream" -- "$current"); return ;;
    --aggregation)
      mapfile -t COMPREPLY < <(compgen -W "max mean top_k_mean centroid prototype_mix" -- "$current"); return ;;
    --check)
      mapfile -t COMPREPLY < <(compgen -W "database cache network process resource" -- "$current"); return ;;
    --kind) mapfile -t COMPREPLY < <(compgen -W "text json bytes" -- "$current"); return ;;
    --mode) mapfile -t COMPREPLY < <(compgen -W "put add" -- "$current"); return ;;
  esac
  local words=""
  case $noun:$verb in
    :) words="status tenant query bench routes cache executions reload config verify" ;;
    tenant:) words="list status restart logs events retention" ;;
    routes:) words="add remove show list status import export evaluate lint fit" ;;
    cache:) words="get set delete clear stats" ;;
    config:) words="check" ;;
    status:) words="--posture" ;;
    tenant:logs) words="-n --lines -f --follow" ;;
    tenant:events) words="-n --lines" ;;
    query:) words="--embedding-file --encoder --alternatives --limit --route --tag --explain" ;;
    bench:) words="--queries --ping --connections --depth --rate --duration --count --warm-up" ;;
    routes:add) words="--utterance --keyword --pattern --always --always-pattern --never --never-pattern --threshold --margin --priority --aggregation --description --tag" ;;
    routes:import) words="--mode --embeddings --dimension --encoder" ;;
    routes:export) words="--embeddings" ;;
    routes:lint) words="--min-examples" ;;
    routes:fit) words="--objective --out-of-scope-recall --data --folds --seed --apply --config" ;;
    verify:) words="--all --check --history --lines" ;;
    tenant:retention) words="--run" ;;
    executions:) words="--since --until --limit" ;;
    cache:set) words="--ttl --kind --file" ;;
    reload:) words="--confirm-removal" ;;
    config:check) words="--config --tenants-dir" ;;
  esac
  if [[ $current == -* ]]; then
    words="$words $globals"
  elif [[ $noun:$verb =~ ^(status:|query:|bench:|verify:|executions:|tenant:(status|restart|logs|events|retention)|(routes|cache):.+)$ && $positionals -eq 0 ]]; then
    words="$words $(_tenantctl_tenants)"
  elif [[ $noun:$verb =~ ^routes:(import|export|evaluate)$ && $positionals -eq 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _tenantctl tenantctl
