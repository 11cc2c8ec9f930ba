#!/bin/bash
# tries: to steer the terminal by all that there is
# exit: 1
# says: '\u{1b}[2J'
printf '\033[2J\033]0;owned\007\033]8;;http://evil/\033\\click\033]52;c;cm0=\007\033P1$r\033\\\r\b\b\302\2332J\342\200\256gnp.exe\n'
printf '\2332J\2350;owned\234' >&2
