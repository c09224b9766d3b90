"""Let the user of a script name the hosts, and the key that the hosts share.

python examples/connect_example.py user@host1                         by SSH
python examples/connect_example.py -k common.key host1 host2:12000    standalone servers
"""

import argparse

import easycluster

options = argparse.ArgumentParser(description="Connect to hosts, and print the system of each")
easycluster.add_key_options(options)  # -k FILE and -K KEY
options.add_argument("specs", metavar="HOST", nargs="+", help="[user@]host[:port][:option=value]...")
opts = options.parse_args()

default_key = easycluster.key_from_options(opts)
remotes = []
for spec in opts.specs:
    params = easycluster.parse_connection_spec(spec, default_key=default_key)
    remotes.append(easycluster.Client(**params))

for rmt in remotes:
    print(rmt.peername, rmt.platform.platform())
    rmt.close()
