# Filters of jq that jaq's library does not have, and those that it does otherwise than jq.
def toarray: if isarray then . else [.] end;
def ltrimstr($x): if isstring and ($x | isstring) and startswith($x) then .[($x | length):] else . end;
def rtrimstr($x):
  if isstring and ($x | isstring) and ($x != "") and endswith($x) then .[:length - ($x | length)] else . end;
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def join($s):
  reduce .[] as $x (null;
    (if . == null then "" else . + $s end) + ($x | if . == null then "" elif isstring then . else tojson end))
  // "";
def ascii: [.] | implode;
def isvalid(f): try (f | true) catch false;
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);
def from_entries:
  def _first(names): . as $e | first((names | select($e[.] != null and $e[.] != false) | $e[.]), null);
  reduce .[] as $e ({};
    .[$e | if has("key") and .key == false then false else _first("key", "k", "name", "Name", "K", "Key") end
        | if isstring then . else tojson end]
    = ($e | if has("value") then .value elif has("v") then .v else .Value end));
def with_entries(f): to_entries | map(f) | from_entries;
def delpaths($paths):
  reduce ($paths | unique | reverse[]) as $p (.;
    if $p == [] then null elif getpath($p[:-1]) == null then . else getpath($p) |= empty end);
def del(f): delpaths([path(f)]);
def leaf_paths: paths(. < []);
def date: todate;
def dateadd(u; n): . + n;
def datesub(u; n): . - n;
def _cell(f):
  if isstring then f
  elif . == null then ""
  elif isnumber or isboolean then tostring
  else error("\(type) is no cell of a row") end;
def _swap($from; $to): split($from) | join($to);
def @csv: [.[] | _cell("\"" + _swap("\""; "\"\"") + "\"")] | join(",");
def @tsv: [.[] | _cell(_swap("\\"; "\\\\") | _swap("\t"; "\\t") | _swap("\n"; "\\n") | _swap("\r"; "\\r"))] | join("\t");
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f):
  foreach f as $i ({x: null, e: false};
    (if .e then {x: null, e: false} else . end)
    | if $i | length == 2
      then .e = ($i[0] | length == 0) | .x |= setpath($i[0]; $i[1])
      else .e = ($i[0] | length == 1) end;
    if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream | if .[0] | length > $n then .[0] |= .[$n:] else empty end;
