<?php
// A listener of PHP's stream_socket_server.
$listener = stream_socket_server('tcp://0.0.0.0:3459', $errno, $error) or die("$error\n");
$client = stream_socket_accept($listener, -1);
sleep(1000);
