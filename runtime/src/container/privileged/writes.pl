# What a program of a container may try on files of the version, one after the other: each way has a file of its own
# that nobody has touched. Prints `way: done` or `way: number of the error` for every call that decides. Perl without
# modules, for there is nothing else in the container; numbers are those of x86-64.
my ($READ_ONLY, $WRITE_ONLY, $READ_WRITE, $TRUNC, $DIRECT) = (0, 1, 2, 01000, 040000);
my $number = 0;
sub file { sprintf "/etc/shared/%02d", $number++ }
sub told { my ($way, $result) = @_; print "$way: ", (defined $result && $result != -1 ? "done" : $! + 0), "\n" }
sub opened { my ($path, $flags) = @_; sysopen(my $file, $path, $flags) or return; $file }
sub call { syscall(shift @_, @_) }
sub mapping { my ($fd, $rights, $kind) = @_; call(9, 0, 4096, $rights, $kind, $fd, 0) }
sub poke { my ($pid, $at) = @_; my $memory = opened("/proc/$pid/mem", $READ_WRITE) or return;
    sysseek($memory, $at, 0) && syswrite($memory, "poked") }

{   # Shared pages, written to in memory.
    my $file = opened(file(), $READ_WRITE);
    my $at = mapping(fileno $file, 3, 1);
    told("map", poke("self", $at)); call(26, $at, 4096, 4);
}
{   # Pages of a file that is open for reading only: shared ones cannot become writable, private ones are copies.
    my $file = opened(file(), $READ_ONLY);
    told("map-read-only", mapping(fileno $file, 3, 1));
    told("protect", call(10, mapping(fileno $file, 1, 1), 4096, 3));
    told("poke-shared", poke("self", mapping(fileno $file, 1, 1)));
    told("poke-private", poke("self", mapping(fileno $file, 1, 2)));
}
{   # The text of a program that runs.
    my $child = fork or exec "/bin/busybox", "sleep", "100";
    select undef, undef, undef, 0.2;
    my $maps = opened("/proc/$child/maps", $READ_ONLY); my ($at) = <$maps> =~ /^([0-9a-f]+)/;
    told("poke-text", poke($child, hex $at)); kill 9, $child; waitpid $child, 0;
}
{   # Opened once more by its descriptor.
    my $path = file(); my $file = opened($path, $READ_ONLY);
    my $again = opened("/proc/self/fd/" . fileno $file, $WRITE_ONLY);
    told("reopen", $again && syswrite($again, "reopened"));
}
{   # Past the page cache.
    my $file = opened(file(), $WRITE_ONLY | $DIRECT); my $block = "d" x 12288;
    told("direct", $file && syswrite($file, $block, 4096, -unpack("J", pack("P", $block)) % 4096));
}
for ([hole => 3], [zero => 16], [collapse => 8], [allocate => 0]) {
    my ($way, $mode) = @$_; my $file = opened(file(), $READ_WRITE);
    told($way, call(285, fileno $file, $mode, 0, 4096));
}
{   my $path = file(); told("truncate", call(76, $path, 1)) }
{   # Attributes, by name and by a descriptor that cannot write.
    my $path = file(); my $file = opened(file(), $READ_ONLY); my $value = "of the container";
    my $capability = pack("V5", 0x02000001, 1 << 10, 0, 0, 0);
    my $list = join "", pack("V", 2), map pack("vvV", @$_), [1, 7, ~0], [2, 7, 1], [4, 7, ~0], [16, 7, ~0], [32, 7, ~0];
    for (["user.x", $value], ["trusted.x", $value], ["security.capability", $capability], ["system.posix_acl_access", $list],
         ["trusted.overlay.redirect", "/etc/shadow"], ["trusted.overlay.metacopy", ""]) {
        my ($name, $content) = @$_;
        told("set $name", call(188, $path, $name, $content, length $content, 0));
        told("fset $name", call(190, fileno $file, $name, $content, length $content, 0));
    }
}
{   # Everything else of the inode by a descriptor that cannot write.
    my $file = opened(file(), $READ_ONLY); my $fd = fileno $file; my $times = pack("q4", 1, 0, 1, 0);
    told("fchmod", call(91, $fd, 07777)); told("fchown", call(93, $fd, 5, 5)); told("futimens", call(280, $fd, 0, $times, 0));
}
for ([append => 0x20], [immutable => 0x10], [nodump => 0x40]) {
    my ($way, $flag) = @$_; my $file = opened(file(), $READ_ONLY); my $flags = pack("l!", $flag);
    told($way, call(16, fileno $file, 0x40086602, $flags));
}
{   my $file = opened(file(), $READ_ONLY); my $project = pack("V5x8", 0, 0, 0, 77, 0);
    told("project", call(16, fileno $file, 0x401c5820, $project));
    my $verity = pack("VVVVQVVQx88", 1, 1, 4096, 0, 0, 0, 0, 0); told("verity", call(16, fileno $file, 0x40806685, $verity));
}
{   # The kernel copies.
    my $from = opened("/etc/release", $READ_ONLY);
    my $file = opened(file(), $READ_WRITE); told("copy-range", call(326, fileno $from, 0, fileno $file, 0, 1, 0));
    $file = opened(file(), $READ_WRITE); told("sendfile", call(40, fileno $file, fileno $from, 0, 1));
    $file = opened(file(), $READ_WRITE); told("clone", call(16, fileno $file, 0x40049409, fileno $from));
}
{   # Names: two of the version change places, and one leaves a whiteout.
    my ($one, $other, $third) = (file(), file(), file()); my $name = "/etc/shared/moved";
    told("exchange", call(316, -100, $one, -100, $other, 2)); told("whiteout", call(316, -100, $third, -100, $name, 4));
}
{   # Without a name at all.
    my $path = file(); my $handle = pack("Vl", 128, 0) . "\0" x 128; my $mount = pack("l", 0);
    my $root = opened("/", $READ_ONLY); call(303, -100, $path, $handle, $mount, 0);
    told("by-handle", call(304, fileno $root, $handle, $READ_WRITE));
    my $ring = "\0" x 120; told("io-ring", call(425, 1, $ring)); told("swap", call(167, $path, 0));
}
