%% A listener of Erlang's gen_tcp.
-module(listener).
-export([main/1]).

main(_) ->
    {ok, Listener} = gen_tcp:listen(3459, []),
    {ok, _Client} = gen_tcp:accept(Listener),
    receive never -> ok end.
