module igor.example/tally

go 1.24
