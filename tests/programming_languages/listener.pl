# A listener of Perl's IO::Socket::INET.
use strict;
use warnings;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalPort => 3459, Listen => 5) or die "$@\n";
my $client = $listener->accept;
sleep;
