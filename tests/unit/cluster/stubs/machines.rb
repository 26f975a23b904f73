# Prints, as JSON, what the Vagrantfile in the folder ARGV[0] sets for provider ARGV[1].
require "json"
require "vagrant"

environment = Vagrant::Environment.new(cwd: ARGV.fetch(0), ui_class: Vagrant::UI::Silent)
found = environment.machine_names.to_h do |name|
  machine = environment.machine(name, ARGV.fetch(1).to_sym)
  lines = machine.provider_config.customizations.map { |_, words| words.map(&:to_s) }
  networks = machine.config.vm.networks.map { |kind, options| options.merge(kind: kind) }
  [name, { customize: lines, networks: networks, box: machine.config.vm.box,
           host: machine.config.ssh.host, errors: machine.config.validate(machine) }]
end
puts JSON.generate(found)
