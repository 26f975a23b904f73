# The uml provider for Vagrant: a thin shim over the Python engine in
# src/underlay/cluster. It keeps no state of its own, not even Vagrant's machine id.
require "json"
require "open3"

# Asks the engine: words in, JSON out, its progress passed on line by line. One engine
# process serves this Vagrant for its whole life, and ends with it.
module UnderlayEngine
  ROOT = File.expand_path("..", __dir__)
  CHECKOUT = File.directory?(File.join(ROOT, "src"))
  # Installed, this file is in underlay/data/vagrant; what Python imports is above that.
  SOURCE = CHECKOUT ? File.join(ROOT, "src") : File.expand_path("../..", ROOT)
  PYTHON = ENV["UNDERLAY_PYTHON"] || File.join(ROOT, ".venv", "bin", "python")
  LOCK = Mutex.new
  WAITING = {}

  class Failed < Vagrant::Errors::VagrantError
    def initialize(message)
      super(nil)
      @message = message
    end

    def error_message
      @message
    end

    def to_s
      @message
    end
  end

  # The launcher of a checkout makes the virtual environment on first use.
  def self.prepare
    return if File.executable?(PYTHON)
    raise Failed, "set the variables that `underlay env` prints" unless CHECKOUT
    launcher = File.join(ROOT, "underlay")
    system(launcher, "--version", out: File::NULL) || raise(Failed, "#{launcher} could not set itself up")
  end

  def self.ask(*words)
    answers = Queue.new
    send_request(words, answers)
    loop do
      answer = answers.pop
      if answer.key?("say")
        yield answer["say"] if block_given?
      elsif answer.key?("answer")
        return answer["answer"]
      else
        raise Failed, answer["error"]
      end
    end
  end

  def self.send_request(words, answers)
    LOCK.synchronize do
      start unless @requests
      id = @last = @last.to_i + 1
      WAITING[id] = answers
      @requests.puts(JSON.generate(id: id, words: words))
    end
  rescue Errno::EPIPE
    raise Failed, "the engine has ended"
  end

  def self.start
    prepare
    command = [PYTHON, "-P", "-m", "underlay.cluster.engine", "serve"]
    @requests, replies, = Open3.popen2({ "PYTHONPATH" => SOURCE }, *command)
    Thread.new do
      replies.each_line { |line| deliver(JSON.parse(line)) }
      LOCK.synchronize do
        WAITING.each_value { |answers| answers << { "error" => "the engine has ended" } }
        @requests = nil
      end
    end
  end

  def self.deliver(reply)
    answers = LOCK.synchronize do
      reply.key?("say") ? WAITING[reply["id"]] : WAITING.delete(reply["id"])
    end
    answers << reply
  end
end

# Carries out the engine's description of one machine (Provider.machine in
# src/underlay/cluster/providers/base.py). A word after a colon is a Ruby symbol.
module UnderlayMachine
  def self.apply(provider, planned, machine)
    machine.vm.guest = :debian
    machine.vm.box = planned["box"] if planned["box"]
    planned.fetch("ssh", {}).each { |name, value| machine.ssh.public_send("#{name}=", value) }
    planned.fetch("networks", []).each do |options|
      machine.vm.network(:private_network, **options.transform_keys(&:to_sym))
    end
    machine.vm.provider(provider.to_sym) do |settings|
      planned.fetch("settings", {}).each { |name, value| settings.public_send("#{name}=", value) }
      planned.fetch("calls", []).each { |name, *words| settings.public_send(name, *ruby(words)) }
    end
    engine(planned["name"], machine) if planned["engine"]
  end

  # The engine makes what a machine needs, proves that it is ready, and tidies up after it.
  def self.engine(name, machine)
    { before: [:up, "before"], after: [:up, "up"] }.each do |time, (action, word)|
      machine.trigger.public_send(time, action) do |trigger|
        trigger.ruby { |_, this| UnderlayEngine.ask(word, name) { |line| this.ui.detail(line) } }
      end
    end
    # Containers would keep an orderly shutdown waiting, and no disk is used twice.
    { before: :halt, after: :destroy }.each do |time, action|
      machine.trigger.public_send(time, action) do |trigger|
        trigger.ruby { UnderlayEngine.ask(action.to_s, name) }
      end
    end
  end

  def self.ruby(value)
    case value
    when Array then value.map { |item| ruby(item) }
    when Hash then value.to_h { |name, item| [name.to_sym, ruby(item)] }
    when /\A:/ then value[1..].to_sym
    else value
    end
  end
end

module UnderlayUml
  class Plugin < Vagrant.plugin("2")
    name "underlay-uml"
    description "User Mode Linux nodes in a namespace sandbox"

    config(:uml, :provider) { Config }
    provider(:uml, parallel: true, box_optional: true, priority: 10) { Provider }
  end

  class Config < Vagrant.plugin("2", :config)
  end

  # One engine call, made into a middleware that passes on.
  class Call
    def initialize(app, _env, action)
      @app = app
      @action = action
    end

    def call(env)
      machine = env[:machine]
      UnderlayEngine.ask(@action, machine.name.to_s) { |line| machine.ui.detail(line) }
      @app.call(env)
    end
  end

  class Provider < Vagrant.plugin("2", :provider)
    include Vagrant::Action::Builtin

    STATES = {
      "running" => "The node runs. `vagrant ssh NAME` opens a shell on it.",
      "poweroff" => "The node's kernel has ended. `vagrant up` boots a fresh one.",
      "not_created" => "The node doesn't exist. `vagrant up` starts it.",
    }.freeze

    def initialize(machine)
      @machine = machine
    end

    def action(name)
      method = "action_#{name}"
      respond_to?(method, true) ? send(method) : nil
    end

    def ssh_info
      info = UnderlayEngine.ask("ssh", @machine.name.to_s)
      info && info.transform_keys(&:to_sym)
    end

    def state
      word = UnderlayEngine.ask("state", @machine.name.to_s)
      Vagrant::MachineState.new(word.to_sym, word.tr("_", " "), STATES.fetch(word))
    end

    private

    def action_up
      chain(ConfigValidate, [Call, "up"], Provision)
    end

    def action_halt
      chain([Call, "halt"])
    end

    def action_reload
      chain([Call, "halt"], [Call, "up"])
    end

    def action_destroy
      chain([Call, "destroy"])
    end

    def action_provision
      chain(Provision)
    end

    def action_ssh
      chain(SSHExec)
    end

    def action_ssh_run
      chain(SSHRun)
    end

    def chain(*steps)
      Vagrant::Action::Builder.new.tap do |builder|
        steps.each { |step| builder.use(*step) }
      end
    end
  end
end
