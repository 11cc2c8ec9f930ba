# Filters of jq that jaq's library does not have.
def toarray: if isarray then . else [.] end;
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def ascii: [.] | implode;
def isvalid(f): try (f | true) catch false;
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);
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
